"""Run a worker in this process until it ends or a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator

from outbox._version import __version__
from outbox.clock import lease_clock
from outbox.delivery import Delivery
from outbox.errors import ConfigurationError
from outbox.policy import Policy
from outbox.service.systemd.watch import supervised
from outbox.service.watching import meter_of, watched
from outbox.settings import Settings
from outbox.settings.supervisor import take_supervisor
from outbox.settings.values import show_duration
from outbox.store import Store
from outbox.store.engine import open_engine
from outbox.store.url import shown_url
from outbox.worker import Counts, Meter, Mode, Worker

logger = logging.getLogger("outbox.worker")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PROGRESS_SECONDS = 0.2
_IDLE_IN_TRANSACTION_SECONDS = 10.0
_SAME_SIGNAL_SECONDS = 0.1
"""What follows so soon is the same wish: timeout(1) signals its child, and then the group that it is in."""


def check_settings(settings: Settings) -> None:
    """See that a worker can run with these settings. Raises `ConfigurationError` where two contradict each other."""
    slowest = max(settings.destinations.values(), key=lambda each: each.try_timeout)
    if settings.lease < 2 * slowest.try_timeout:
        msg = (
            f"OUTBOX_LEASE is {show_duration(settings.lease)}, shorter than twice {slowest.variable('try_timeout')}, "
            f"which is {show_duration(slowest.try_timeout)}"
        )
        hint = "Another worker could send a message again while this one still sends it: lengthen the lease."
        raise ConfigurationError(msg, hint=hint)
    if settings.pause_first > settings.pause_longest:
        first, longest = show_duration(settings.pause_first), show_duration(settings.pause_longest)
        msg = f"OUTBOX_PAUSE_FIRST is {first}, longer than OUTBOX_PAUSE_LONGEST, which is {longest}"
        raise ConfigurationError(msg, hint="Pauses grow from the first to the longest: exchange them.")


def run_worker(settings: Settings, mode: Mode, on_progress: Callable[[Counts], None] | None = None) -> Counts:
    """Run a worker to its end and return what it settled.

    The first SIGTERM or SIGINT lets it finish what is in flight; the second ends the process at once with 128 + n.
    """
    _tune_interpreter()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        counts: Counts = runner.run(_run(settings, mode, on_progress))
    logger.info("ended: %s", counts)
    return counts


def _tune_interpreter() -> None:
    """Set what holds for the whole process, which is the worker's own.

    With the 5 ms that are the default the store's thread and the HTTP client's wait for the event loop at each of their
    steps: a fifth of the throughput on SQLite. Looking for garbage cycles after every 700 objects, among all that was
    imported, is another 3 % (both measured).
    """
    sys.setswitchinterval(0.0005)
    gc.freeze()
    gc.set_threshold(5_000)


async def _run(settings: Settings, mode: Mode, on_progress: Callable[[Counts], None] | None) -> Counts:
    supervisor = take_supervisor()
    meter = meter_of(settings)
    with (
        open_worker(settings, mode, meter) as worker,
        watched(settings, worker, meter),
        supervised(worker, settings, supervisor) as stops,
    ):
        async with _signals(worker, stops), _progress(worker, on_progress):
            await worker.run()
    return worker.report.counts


@contextlib.contextmanager
def open_worker(settings: Settings, mode: Mode, meter: Meter | None = None) -> Iterator[Worker]:
    """Make a worker and its engine; it counts for the meter, if there is one. Raises `ConfigurationError` where none can run with these settings."""
    check_settings(settings)
    # Rows that a frozen worker has locked are nobody's: no longer than those that it holds by a claim.
    engine = open_engine(settings.database_url, idle_in_transaction=min(settings.lease, _IDLE_IN_TRANSACTION_SECONDS))
    try:
        store = Store(
            engine,
            blocks=settings.behind_failed == "block",
            listens=settings.wake == "on",
            wipes=settings.keep_body == 0,
        )
        delivery = Delivery(settings, Policy.of(settings), None if meter is None else meter.teller)
        worker = Worker(store, delivery, settings, mode, meter)
        logger.info("outbox %s: %s -> %s", __version__, shown_url(engine.url), _targets(settings))
        yield worker
    finally:
        engine.dispose()


def _targets(settings: Settings) -> str:
    """Where messages go, without what could be secret in a query."""
    return "; ".join(
        f"{each.name} at {each.url.partition('?')[0]}, concurrency {each.concurrency}"
        for each in settings.destinations.values()
    )


@contextlib.asynccontextmanager
async def _signals(worker: Worker, on_stop: Callable[[], None]) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    first: float | None = None

    def receive(number: int) -> None:
        nonlocal first
        now = lease_clock()
        if first is not None and now - first < _SAME_SIGNAL_SECONDS:
            return
        if first is not None:
            logger.warning("second signal: ending at once; what is in flight will be sent again")
            logging.shutdown()
            os._exit(128 + number)
        first = now
        logger.info("stopping: finishing what is in flight")
        on_stop()
        worker.stop()

    for number in _SIGNALS:
        loop.add_signal_handler(number, receive, number)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def _progress(worker: Worker, on_progress: Callable[[Counts], None] | None) -> AsyncIterator[None]:
    async def report(show: Callable[[Counts], None]) -> None:
        while True:
            show(worker.report.counts)
            await asyncio.sleep(_PROGRESS_SECONDS)

    task = asyncio.create_task(report(on_progress)) if on_progress else None
    try:
        yield
    finally:
        if task and on_progress:
            task.cancel()
            on_progress(worker.report.counts)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Take uvloop where there is one; None for asyncio's own."""
    try:
        import uvloop
    except ImportError:  # not on Windows
        return None
    return uvloop.new_event_loop
