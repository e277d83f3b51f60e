"""What a worker tells the service manager: that it is ready, how it stands, that it still goes round, that it stops."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

from outbox.clock import lease_clock
from outbox.render import safe
from outbox.service.limits import longest_stop
from outbox.service.systemd.notifier import Notifier
from outbox.settings import Settings
from outbox.settings.supervisor import Supervisor
from outbox.worker import BACKLOG_MOST, Worker

STATUS_SECONDS = 3.0
"""Between two lines of STATUS at least."""

START_SECONDS = 90
"""How much longer a start may take, from each round on in which the database was not there yet."""


@contextlib.contextmanager
def supervised(worker: Worker, settings: Settings, supervisor: Supervisor | None) -> Iterator[Callable[[], None]]:
    """Tell the service manager of the worker until the block ends, if there is one. Gives what to call when it stops."""
    if supervisor is None:
        yield _nobody
        return
    notifier = Notifier(supervisor.socket)
    watch = _Watch(worker, notifier, supervisor.watchdog, longest_stop(settings))
    try:
        yield watch.stops
    finally:
        watch.stops()
        notifier.close()


class _Watch:
    """Speaks when the worker has come round, and never otherwise: one that is wedged falls silent."""

    def __init__(self, worker: Worker, notifier: Notifier, watchdog: float | None, stop_seconds: int) -> None:
        self._worker = worker
        self._notifier = notifier
        self._ping_seconds = None if watchdog is None else watchdog / 2
        self._stop_seconds = stop_seconds
        self._is_ready = self._is_stopping = False
        self._pinged = self._extended = self._said_at = -math.inf
        self._said = ""
        worker.report.counts_backlog = True
        worker.pulse.subscribe(self._beat)

    def stops(self) -> None:
        """Say that the worker stops, and how long that may take, however short the unit's own time for it is."""
        if not self._is_stopping:
            self._is_stopping = True
            self._notifier.tell("STOPPING=1", _extended(self._stop_seconds), f"STATUS={self._status()}")

    def _beat(self) -> None:
        now = lease_clock()
        if not self._is_ready:
            self._start(now)
        elif self._ping_seconds is not None and now - self._pinged >= self._ping_seconds:
            self._notifier.tell("WATCHDOG=1")
            self._pinged = now
        if now - self._said_at >= STATUS_SECONDS and (status := self._status()) != self._said:
            self._notifier.tell(f"STATUS={status}")
            self._said, self._said_at = status, now

    def _start(self, now: float) -> None:
        """Say that it is ready, or that it will be when its database is: the manager is to wait."""
        if self._worker.is_ready:
            self._is_ready = self._notifier.tell("READY=1")
        elif now - self._extended >= START_SECONDS / 3:
            self._notifier.tell(_extended(START_SECONDS))
            self._extended = now

    def _status(self) -> str:
        report, seen = self._worker.report, self._worker.seen()
        in_flight = sum(each.in_flight for each in seen)
        if self._is_stopping:
            return f"stopping: {in_flight:,} in flight"
        if report.waits_for is not None:
            return safe(f"waiting: {report.waits_for}")
        if not self._is_ready:
            return "starting"
        due = f"{BACKLOG_MOST:,} or more" if report.backlog >= BACKLOG_MOST else f"{report.backlog:,}"
        counts = f"{due} due, {in_flight:,} in flight, {report.counts.delivered:,} delivered, {report.counts.failed:,} failed"
        paused = [each.name for each in seen if each.paused or each.away]
        return f"{counts}; not sent to now: {', '.join(paused)}" if paused else counts


def _extended(seconds: int) -> str:
    return f"EXTEND_TIMEOUT_USEC={seconds * 1_000_000}"


def _nobody() -> None:
    """What is called where no service manager is."""
