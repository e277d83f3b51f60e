"""The worker: claim ─▶ bounded queue ─▶ senders ─▶ settle.

The store works synchronously on a thread of its own; sending is asyncio. The three verbs run beside each
other: a claim feeds the queue while senders empty it, and a settle writes what has gathered meanwhile. Each destination
has a claimer, a queue and senders of its own, so that one that hangs leaves the others alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from outbox._version import __version__
from outbox.clock import lease_clock
from outbox.delivery import Delivery
from outbox.errors import OutboxError, TryLater
from outbox.message import Message
from outbox.settings import Settings
from outbox.settings.destinations import own_variable
from outbox.store import TROUBLE, Gate, Store
from outbox.worker.alone import Alone
from outbox.worker.lane import Lane, Seen
from outbox.worker.meter import Meter
from outbox.worker.pace import LOOK_AGAIN_SECONDS, Waits, backoff
from outbox.worker.purging import Purger
from outbox.worker.report import Doing, Report
from outbox.worker.settling import Settler
from outbox.worker.shared import Mode, Shared
from outbox.worker.thread import StoreThread
from outbox.worker.waking import Waker

HEARTBEAT_SECONDS = 10.0

BACKLOG_SECONDS = 3.0
"""Between two counts of what is due, where somebody shows it; longer where a count takes long."""

BACKLOG_SHARE = 0.02
"""Of the time, at most, that the store spends with these counts."""

GATES_SECONDS = 0.5
"""How often a worker looks whether others have paused a destination."""

GATES_AT_REST_SECONDS = 2.0
"""How often where it has nothing to send. Claims leave out what is paused, and it looks again before it claims."""

UNSETTLED = 3
"""How many outcomes may be unsettled for each sender: what a crash would send again, beside what is in flight."""

_STARTING, _ENDING = "starting", "ending"
"""What goes round before and after the destinations do. No destination can be called so while these do."""

ANSWER_SECONDS = 20.0
"""How long the database may take for a call. It ends a slow statement sooner, if it is there."""


class Worker:
    """Delivers until it is stopped, or as its mode says."""

    def __init__(
        self,
        store: Store,
        delivery: Delivery,
        settings: Settings,
        mode: Mode = Mode.FOREVER,
        meter: Meter | None = None,
    ) -> None:
        self.report = Report(meter)
        self._store = store
        self._delivery = delivery
        self._settings = settings
        self._strangers: set[str] = set()
        self._thread = StoreThread(store.cut, ANSWER_SECONDS, None if meter is None else meter.called)
        self._checked = False
        self._shared = Shared(store, self._thread, self.report, settings, mode)
        self.pulse = self._shared.pulse
        """Beats as long as the worker goes round, also while it waits for the database."""
        most = UNSETTLED * sum(each.concurrency for each in settings.destinations.values())
        self._settler = Settler(store, self._thread, self.report, most=most, lease=settings.lease)
        alone = Alone(self._settler)
        me = f"{socket.gethostname()}:{os.getpid()}"
        self._waker = Waker(self._shared)
        self._waker.outdated_gates, self._waker.on_gates = self._outdated_gates, self._see_gates
        self._gates_seen = -math.inf
        self._lanes = {
            name: Lane(name, self._shared, delivery, self._settler, alone, self._waker, me)
            for name in settings.destinations
        }
        self._settler.on_opening = lambda: self._each(lambda lane: lane.senders.go_on())
        self._settler.on_trouble = self._bear_trouble
        self._settler.on_successors = self._succeed

    @property
    def is_ready(self) -> bool:
        """Whether the tables were seen to be ours, and the database works as far as is known."""
        return self._checked and self.report.database_works and not self._thread.is_stuck

    def seen(self) -> list[Seen]:
        """Say how each destination stands. For any thread."""
        return [lane.seen() for lane in self._lanes.values()]

    def stop(self) -> None:
        """Claim no more, finish what is in flight, up to the drain time, release the rest."""
        self._shared.stopping.set()
        self._settler.succeeds = False
        self._delivery.stop()
        for lane in self._lanes.values():
            lane.stop()

    async def run(self) -> None:
        """Work until stopped. Raises what a worker that does not wait cannot bear: see `Mode`."""
        try:
            await self._until_ready()
            if not self._shared.stopping.is_set():
                await self._work()
                await self._account_for_strangers()
        finally:
            await self._delivery.close()
            await self._thread.call(self._store.close)
            self._thread.close()

    async def _until_ready(self) -> None:
        """Wait for a database that answers and holds our schema; a draining worker does not wait."""
        waits = backoff()
        self.pulse.expect([_STARTING])
        while not self._shared.stopping.is_set():
            try:
                await self._thread.call(self._store.check)
                if self._shared.mode is Mode.DRAIN:
                    for name in self._lanes:
                        self.report.counts.due += await self._thread.call(self._store.due, name)
                await self._look_at_gates()
            except (*TROUBLE, OutboxError) as error:
                self.report.counts.due = 0
                await self._shared.bear(_STARTING, error, waits)
            else:
                self._checked = True
                self.report.works(Doing.CLAIM)
                self._shared.came_round(_STARTING)
                return

    async def _work(self) -> None:
        self._settler.succeeds = True
        self.pulse.expect(self._lanes)
        settling = asyncio.create_task(self._settler.run())
        helping = [asyncio.create_task(each) for each in self._help()]
        claiming = [asyncio.create_task(lane.run()) for lane in self._lanes.values()]
        try:
            await self._until_done(claiming, settling)
            errors = [error for each in claiming if (error := each.exception()) is not None]
            if errors:
                raise max(errors, key=_concerns_all)
        finally:
            self._settler.succeeds = False
            stopping, drain = self._shared.stopping, self._settings.drain_timeout
            helping.append(asyncio.create_task(self._go_round_at_the_end()))
            await asyncio.gather(*(lane.senders.finish(stopping, drain) for lane in self._lanes.values()))
            self._settler.finish()
            await asyncio.gather(*(lane.circuit.finish() for lane in self._lanes.values()))
            for each in helping:
                each.cancel()
            await asyncio.wait([settling, *helping])
            settling.result()
        self.report.ends()
        self._account_for(self._settler.unrecorded)

    def _help(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What runs beside claims, sending and settles."""
        yield from (self._beat(), self._watch_gates(), self._waker.run())
        if self._shared.mode is Mode.FOREVER:
            yield Purger(self._shared).run()
        if self.report.counts_backlog:
            yield self._count_backlog()

    async def _go_round_at_the_end(self) -> None:
        """Keep the pulse while what is in flight ends, which is bounded in time, and while the last is settled."""
        self.pulse.expect([_ENDING])
        while True:
            self._shared.came_round(_ENDING)
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _until_done(self, claiming: Sequence[asyncio.Task[None]], settling: asyncio.Task[None]) -> None:
        """Wait until every destination is done. Where one ends by what concerns them all, stop the others."""
        running = {*claiming, settling}
        while running & {*claiming}:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            # Without settles nothing can be recorded any more, so nothing must be sent.
            if settling in done or any(_concerns_all(each.exception()) for each in done):
                self.stop()

    def _each(self, what: Callable[[Lane], None]) -> None:
        for lane in self._lanes.values():
            what(lane)

    def _bear_trouble(self) -> None:
        """Send nothing while outcomes cannot be settled."""
        self._waker.lose()
        self._each(lambda lane: lane.senders.empty())

    def _succeed(self, successors: Sequence[Message]) -> None:
        """Hand each successor to its destination."""
        by_destination: dict[str, list[Message]] = defaultdict(list)
        for each in successors:
            by_destination[each.destination].append(each)
        for name, messages in by_destination.items():
            self._lanes[name].claimer.succeed(messages)

    async def _look_at_gates(self) -> None:
        """See which destinations are paused."""
        self._see_gates(await self._thread.call(self._store.gates, [*self._lanes]))

    def _see_gates(self, gates: Mapping[str, Gate]) -> None:
        for name, gate in gates.items():
            self._lanes[name].circuit.see(gate)
        self._gates_seen = lease_clock()

    def _outdated_gates(self) -> Collection[str]:
        return [*self._lanes] if lease_clock() - self._gates_seen > GATES_SECONDS else ()

    @property
    def _is_at_rest(self) -> bool:
        """Whether there is nothing that a pause could concern."""
        return self._waker.waiting == len(self._lanes) and not any(
            lane.senders.is_busy for lane in self._lanes.values()
        )

    async def _watch_gates(self) -> None:
        while True:
            await asyncio.sleep(GATES_SECONDS)
            if self._is_at_rest and lease_clock() - self._gates_seen < GATES_AT_REST_SECONDS:
                continue
            try:
                await self._look_at_gates()
            except TROUBLE:  # of which claims and settles tell
                pass
            except Exception as error:  # noqa: BLE001 - without these looks no pause would end here
                self.report.surprise("looking at the pauses", error)

    def _account_for(self, unrecorded: Exception | None) -> None:
        """Raise why outcomes were not recorded, for who waits for a drain's or a round's result."""
        if unrecorded is not None and self._shared.mode is not Mode.FOREVER:
            raise self._store.explain(unrecorded) from unrecorded

    async def _account_for_strangers(self) -> None:
        """Raise, where a draining worker leaves messages that are due, because nobody told it where they go."""
        if self._shared.mode is Mode.DRAIN:
            for name in await self._thread.call(self._store.strangers, self._lanes):
                if due := (await self._thread.call(self._store.waiting, name)).due:
                    msg = f"{due} due for {name}, which is not configured here"
                    raise TryLater(msg, hint=f"Set {own_variable(name, 'url')}, or drain where it is configured.")

    async def _look_for_strangers(self) -> None:
        """Say once of each destination that messages wait for it and nobody has told where they go."""
        for name in await self._thread.call(self._store.strangers, self._lanes):
            if name not in self._strangers:
                self._strangers.add(name)
                self.report.stranger(name)

    async def _beat(self) -> None:
        """Show this worker among the living. Nothing depends on it, so the database's trouble is not its matter."""
        identity = uuid4()
        me = (identity, socket.gethostname(), os.getpid(), __version__)
        sooner = Waits(LOOK_AGAIN_SECONDS, HEARTBEAT_SECONDS, 2.0)
        try:
            while True:
                try:
                    await self._thread.call(self._store.heartbeat, *me, self._trouble())
                    await self._look_for_strangers()
                except Exception:  # noqa: BLE001 - claims and settles tell of it
                    await asyncio.sleep(sooner.next())
                else:
                    sooner.restart()
                    await asyncio.sleep(HEARTBEAT_SECONDS)
        finally:
            with contextlib.suppress(Exception):
                await self._thread.call(self._store.farewell, identity)

    async def _count_backlog(self) -> None:
        """Count what is due, for people to see: the database's trouble is the claims' matter."""
        while True:
            began = lease_clock()
            with contextlib.suppress(*TROUBLE):
                self.report.backlog = await self._thread.call(self._store.backlog, [*self._lanes])
            await asyncio.sleep(max(BACKLOG_SECONDS, (lease_clock() - began) / BACKLOG_SHARE))

    def _trouble(self) -> str | None:
        """What this worker alone cannot reach."""
        away = [f"{name}: {lane.circuit.away}" for name, lane in self._lanes.items() if lane.circuit.away]
        return "; ".join(away) or None


def _concerns_all(error: BaseException | None) -> bool:
    """Whether what ended one destination's work ends the worker."""
    return error is not None and not isinstance(error, TryLater)
