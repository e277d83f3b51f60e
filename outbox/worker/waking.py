"""Waking: claimers that have nothing to do wait here, for one look at the database for all of them.

A look comes by the clock, soon after work and seldomer later; that is the guarantee. It comes at once when somebody may
have committed, as far as the database, or the kernel, tells of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from outbox.clock import lease_clock
from outbox.store import TROUBLE, Gate, Lost, NotThere, Place, Work
from outbox.worker.pace import POLLING_SECONDS, WATCHED_SECONDS, Allowance, Waits, polling
from outbox.worker.report import Doing, logger
from outbox.worker.shared import Shared
from outbox.worker.watermark import Ring, Watermark


class Waker:
    """Tells claimers that wait when there may be something for them."""

    def __init__(self, shared: Shared) -> None:
        self.outdated_gates: Callable[[], Collection[str]] = tuple
        """Which destinations' pauses to look at before claimers are told of work."""
        self.on_gates: Callable[[Mapping[str, Gate]], None] = _ignore
        """Called with how they stand."""
        self._shared = shared
        self._waiting: dict[str, _Waiting] = {}
        self._somebody = asyncio.Event()
        self._sooner = asyncio.Event()
        self._polling = polling(POLLING_SECONDS)
        self._next_look = 0.0
        self._hurries = False
        self._allowance = Allowance(20, 50.0)
        self._watching: asyncio.Task[None] | None = None
        self._watch_from = 0.0
        self._failures = Waits(0.1, 60.0, 2.0)

    @property
    def waiting(self) -> int:
        """How many destinations' claimers wait."""
        return len(self._waiting)

    async def until_due(self, name: str, watermark: Watermark, ring: Ring) -> None:
        """Wait until there may be something to claim for a destination, or until it is woken for another reason."""
        if self._shared.stopping.is_set():
            return
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[name] = _Waiting(told, watermark, ring)
        self._somebody.set()
        try:
            await told
        finally:
            del self._waiting[name]
            if not self._waiting:
                self._somebody.clear()

    def wake(self, name: str) -> None:
        """Wake the claimer of a destination, if it waits."""
        if name in self._waiting:
            self._waiting[name].tell()

    def found(self) -> None:
        """Take in that a claim has found something: more may follow soon."""
        self._polling.restart()
        self._plan(lease_clock() + self._polling.next())

    def hurry(self) -> None:
        """Look at once: somebody may have committed."""
        self._hurries = True
        self._plan(self._allowance.earliest(lease_clock()))

    def lose(self) -> None:
        """Let go of the connection that tells of commits: the database is in trouble, and may let us have only one."""
        if self._watching is not None:
            self._watching.cancel()

    async def run(self) -> None:
        """Look whenever it is time, for as long as somebody waits."""
        try:
            while True:
                await self._somebody.wait()
                if await self._is_time():
                    await self._look()
        finally:
            self.lose()
            if self._watching is not None:
                await asyncio.wait([self._watching])

    def _plan(self, moment: float) -> None:
        if moment < self._next_look:
            self._next_look = moment
            self._sooner.set()

    async def _is_time(self) -> bool:
        """Wait for the next look; False where it has been brought forward, or nobody waits any more."""
        if math.isinf(self._next_look):
            self._next_look = lease_clock() + self._polling.next()
        self._sooner.clear()
        if (wait := self._next_look - lease_clock()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._sooner.wait(), wait)
                return False
        return bool(self._waiting)

    async def _look(self) -> None:
        """One look for all. Where the database is in trouble the claims find out what becomes of that."""
        was_hurried, self._hurries, self._next_look = self._hurries, False, math.inf
        waiting = {**self._waiting}
        try:
            found = await self._find(waiting)
        except TROUBLE as error:
            self.lose()
            self._shared.report.trouble(Doing.CLAIM, self._shared.store.explain(error))
            found = dict.fromkeys(waiting, True)
        except Exception as error:  # noqa: BLE001 - without these looks nothing would be claimed any more
            self._shared.report.surprise("looking for messages", error)
            found = dict.fromkeys(waiting, True)
        else:
            for name in waiting:
                self._shared.came_round(name)
            self._watch()
            if was_hurried and not any(found.values()):
                self._allowance.use(lease_clock())
        for name, has_work in found.items():
            if has_work:
                waiting[name].tell()

    async def _find(self, waiting: dict[str, _Waiting]) -> dict[str, bool]:
        """Whether each of those who wait has work; each claim begins where the look has begun."""
        with ExitStack() as turns:
            places = [each.place(name, turns) for name, each in waiting.items()]
            works, gates = await self._shared.thread.call(
                self._shared.store.find_work, places, gates_of=self.outdated_gates()
            )
        if gates:
            self.on_gates(gates)
        return {place.name: waiting[place.name].has_work(place, works[place.name]) for place in places}

    def _watch(self) -> None:
        """Begin, or begin again, to notice commits."""
        if (self._watching is None or self._watching.done()) and lease_clock() >= self._watch_from:
            self._watching = asyncio.create_task(self._hurry_on())

    async def _hurry_on(self) -> None:
        try:
            async with contextlib.aclosing(self._shared.store.commits()) as commits:
                async for _ in commits:
                    self._polling.longest = WATCHED_SECONDS
                    self._failures.restart()
                    self.hurry()
                    await self._somebody.wait()
        except NotThere as why:
            self._watch_from = math.inf
            if str(why):
                logger.info("no wake-ups: %s; new messages are found by polling", why)
        except Lost as why:
            self._watch_from = lease_clock() + self._failures.next()
            logger.debug("no wake-ups for now: %s", why)
        except Exception as error:  # noqa: BLE001 - whatever it is, looks go on
            self._watch_from = lease_clock() + self._failures.next()
            self._shared.report.surprise("noticing commits", error)
        finally:
            self._polling.longest = POLLING_SECONDS


@dataclass(frozen=True, slots=True)
class _Waiting:
    told: asyncio.Future[None]
    watermark: Watermark
    ring: Ring

    def tell(self) -> None:
        if not self.told.done():
            self.told.set_result(None)

    def place(self, name: str, turns: ExitStack) -> Place:
        """Where to look now."""
        start, turn = self.watermark.start()
        turns.enter_context(turn.taken())
        if looks_at_keys := self.ring.has_come():
            turns.enter_context(self.ring.turn.taken())
        return Place(name, start, looks_at_keys)

    def has_work(self, place: Place, work: Work) -> bool:
        if work.unkeyed:
            self.watermark.has_found(place.after)
        if work.keyed:
            self.ring.has_found()
        return work.unkeyed or work.keyed


def _ignore(_gates: Mapping[str, Gate]) -> None:
    pass
