"""Purging: now and then a worker takes away what is older than it is to be kept.

In small pages, each a transaction of its own, with rests between them: claims and settles go on in between. Nothing is begun
while the worker stops, and a worker that is to end by itself does not purge. Several workers may do it at once: what
one has locked the others pass over, and what is gone costs them nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from outbox.clock import lease_clock
from outbox.settings import Settings
from outbox.store import TROUBLE, Kept, PrimaryKey, start_of
from outbox.worker.pace import about, backoff
from outbox.worker.report import Doing
from outbox.worker.shared import Shared
from outbox.worker.watermark import SHARE

FIRST_SECONDS = 300.0
"""After the start: one that is started again and again has other things to do."""

BETWEEN_SECONDS = 3600.0
"""Between two rounds."""

WHOLE_SECONDS = 86_400.0
"""Between two rounds that begin at the first row. The others begin where the last one ended, or a little before."""

LOOK_BACK_SECONDS = 3600.0
"""How much before: for messages that were settled so long after they were made. Whole rounds find the others."""

PAGE = 250
"""Rows in one statement. To remove so many takes 6 to 16 ms (measured), for which a settle may have to wait."""

P = ParamSpec("P")
R = TypeVar("R")


class Purger:
    """Goes round what is kept for a limited time."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._store = shared.store
        self._walks = [_Walk(what, age) for what, age in _ages(shared.settings).items() if not math.isinf(age)]

    async def run(self) -> None:
        """Begin some minutes after the start; then a round each hour, until the worker stops."""
        wait = FIRST_SECONDS
        while self._walks and not self._shared.stopping.is_set():
            await self._shared.pause(about(wait))
            wait = BETWEEN_SECONDS
            for each in self._walks:
                await self._go(each)

    async def _go(self, walk: _Walk) -> None:
        try:
            await self._walk(walk)
        except _StoppingError:
            pass
        except TROUBLE as error:  # a right is missing: others perhaps have it, and there may be more to do
            self._shared.report.cannot_purge(self._store.explain(error))
        except Exception as error:  # noqa: BLE001 - without this nothing would be purged any more
            self._shared.report.surprise("purging", error)

    async def _walk(self, walk: _Walk) -> None:
        began, removed = lease_clock(), 0
        if (reach := walk.reach(began)) is None:
            return
        place: PrimaryKey | None = start_of(walk.what)
        if not math.isinf(reach):
            place = (await self._ask(self._store.id_of, walk.age + reach),)
        until = await self._ask(self._store.id_of, walk.age)
        try:
            while place is not None:
                count, place = await self._ask(self._store.purge, walk.what, walk.age, place, until=until, size=PAGE)
                removed += count
        finally:
            self._shared.report.purged(walk.what, removed, walk.age)
        walk.ended(began, whole=math.isinf(reach))

    async def _ask(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do it on the store's thread, and rest. While the database is in trouble: wait, and do it again."""
        waits = backoff()
        while not self._shared.stopping.is_set():
            began = lease_clock()
            try:
                result, seconds = await self._shared.thread.call(_timed, lambda: work(*args, **kwargs))
            except TROUBLE as error:
                explained = self._store.explain(error)
                if explained.exit_code == 78:
                    raise
                self._shared.report.trouble(Doing.PURGE, explained)
                # A statement that took too long must not keep others waiting by being repeated.
                await self._shared.pause(max(waits.next(), _rest(lease_clock() - began)))
            else:
                self._shared.report.works(Doing.PURGE)
                await self._shared.pause(_rest(seconds))
                return result
        raise _StoppingError


class _StoppingError(Exception):
    """The worker stops: nothing more is begun."""


class _Walk:
    """One thing that is kept for a time, and where to begin."""

    def __init__(self, what: Kept, age: float) -> None:
        self.what = what
        self.age = age
        self._began = 0.0
        self._whole_at = -math.inf

    def reach(self, now: float) -> float | None:
        """How much further back than its age to begin, in seconds: infinite for a whole round; None: not now."""
        if now >= self._whole_at:
            return math.inf
        if self.what is Kept.KEYS:  # their order is no order of time
            return None
        return now - self._began + LOOK_BACK_SECONDS

    def ended(self, began: float, *, whole: bool) -> None:
        """Take in that a round has come to its end."""
        self._began = began
        if whole:
            self._whole_at = began + WHOLE_SECONDS


def _ages(settings: Settings) -> dict[Kept, float]:
    """How long each is kept. Bodies go with their messages at the latest."""
    body = settings.keep_body
    return {
        Kept.BODIES: body if body < settings.keep_delivered else math.inf,
        Kept.DELIVERED: settings.keep_delivered,
        Kept.FAILED: settings.keep_failed,
        Kept.KEYS: settings.keep_dedup,
    }


def _rest(seconds: float) -> float:
    """How long to rest after so much work."""
    return seconds * (1 / SHARE - 1)


def _timed(work: Callable[[], R]) -> tuple[R, float]:
    """Do it and say how long it took: the wait for the store's thread is not its work."""
    began = lease_clock()
    return work(), lease_clock() - began
