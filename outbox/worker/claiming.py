"""Claim: keep the queue of a destination's senders filled, no fuller than they can empty soon."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from enum import Enum

from outbox.clock import lease_clock
from outbox.errors import TryLater
from outbox.message import Message
from outbox.store import TROUBLE, Choice, Claimed, Position
from outbox.worker.alone import Alone
from outbox.worker.circuit import Circuit
from outbox.worker.pace import (
    FINDING_OUT_SECONDS,
    GATHER_SECONDS,
    LOOK_AGAIN_SECONDS,
    PACED_SECONDS,
    Prefetch,
    backoff,
    polling,
)
from outbox.worker.report import Doing
from outbox.worker.sending import Senders
from outbox.worker.settling import Settler
from outbox.worker.shared import Mode, Shared
from outbox.worker.waking import Waker
from outbox.worker.watermark import Ring, Watermark


class Found(Enum):
    """What a round of claims came to."""

    NOTHING = "nothing"
    SOME = "some"
    """Less than was asked for."""
    ALL = "all"
    """As much as was asked for: there may be more."""


class Claimer:
    """Asks the database for a destination's due messages: at once while there is work, slower and slower when idle."""

    def __init__(
        self,
        name: str,
        shared: Shared,
        circuit: Circuit,
        senders: Senders,
        settler: Settler,
        alone: Alone,
        waker: Waker,
    ) -> None:
        self._name = name
        self._shared = shared
        self._store = shared.store
        self._thread = shared.thread
        self._lease = shared.settings.lease
        self._stopping = shared.stopping
        self._circuit = circuit
        self._senders = senders
        self._settler = settler
        self._alone = alone
        self._waker = waker
        self._prefetch = Prefetch(shared.settings.destinations[name].concurrency)
        self._backoff = backoff()
        self._polling = polling()
        self._woken = False
        self._suspects = False
        self._left = False
        self._watermark = Watermark()
        self._ring = Ring()

    async def run(self) -> None:
        """Claim until stopped, or as the mode says."""
        senders, asked = self._senders, lease_clock()
        while not self._stopping.is_set():
            await self._until_hungry()
            begun, senders.begun, now = senders.begun, 0, lease_clock()
            self._prefetch.observe(begun, now - asked)
            asked, senders.low = now, self._prefetch.size // 2
            try:
                found = await self._look()
                is_finished = self._shared.mode is Mode.ONCE or (found is Found.NOTHING and await self._is_drained())
            except TROUBLE as error:
                self._waker.lose()
                await self._shared.bear(self._name, error, self._backoff)
                continue
            self._shared.came_round(self._name)
            if is_finished:
                return
            await self._rest(found)

    async def _rest(self, found: Found) -> None:
        """Wait as long as what a round came to says; where it found nothing, until there may be something."""
        was_woken, self._woken = self._woken, False
        if found is not Found.NOTHING:
            self._waker.found()
        if found is not Found.NOTHING or not self._is_idle():
            await self._shared.pause(self._wait(found))
            return
        if was_woken:  # for nothing: others were quicker, or what is pending waits for its turn
            await self._shared.pause(self._polling.next())
        self._woken = True
        await self._waker.until_due(self._name, self._watermark, self._ring)

    def _is_idle(self) -> bool:
        """Whether nothing is left to do here but to wait for messages. A drain asks for itself whether it is done."""
        sends = self._shared.mode is Mode.FOREVER and self._shared.settings.delivery != "off"
        is_held = self._suspects or self._left or self._alone.is_kept_from(self._senders)
        return sends and self._circuit.is_open and not is_held

    async def _look(self) -> Found:
        """One round, of claims or, where the destination is not being sent to, of finding out whether it can be."""
        if (
            self._shared.settings.delivery == "off"
            or self._stopping.is_set()
            or self._alone.is_kept_from(self._senders)
        ):
            return Found.NOTHING
        if not self._circuit.is_open:
            return await self._find_out()
        found = await self._claim_all(self._wanted())
        if self._suspects and not self._alone.is_kept_from(self._senders):
            self._suspects = await self._claim_suspect()
        return found

    async def _find_out(self) -> Found:
        if self._circuit.is_finding_out or self._circuit.remaining:
            return Found.NOTHING
        return Found.SOME if await self._circuit.probe(self._probe) else Found.NOTHING

    def _probe(self, message: Message) -> None:
        if self._alone.is_kept_from(self._senders):
            self._circuit.unsent(message)
            self._settler.release(message)
        else:
            self._senders.feed([message])

    def _wanted(self) -> int:
        wanted, waiting = self._prefetch.size - self._senders.waiting, self._senders.waiting
        return int(min(wanted, Prefetch.AT_ONCE, self._circuit.pacer.room(waiting)))

    async def _claim_all(self, wanted: int) -> Found:
        """Claim heads of keys, if it is their turn, and messages without a key: up to `wanted` together."""
        if wanted <= 0:
            return Found.SOME
        choice = Choice.CALM if self._suspects else Choice.ANY
        parts = []
        if self._ring.has_come():
            parts.append(await self._claim_around(choice, max(1, wanted // 2)))
            wanted -= len(parts[0].messages)
        if wanted > 0:
            parts.append(await self._claim_onward(choice, wanted))
        self._left = any(each.left for each in parts)
        self._suspects = self._suspects or any(each.suspects for each in parts)
        if not any(each.messages for each in parts):
            return Found.NOTHING
        return Found.ALL if wanted <= 0 or parts[-1].more else Found.SOME

    async def _until_hungry(self) -> None:
        """Wait until half of what should be held ready has been taken, and until outcomes are being settled."""
        senders = self._senders
        while not self._stopping.is_set() and self._must_wait():
            self._wait_on()
            senders.hungry.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(senders.hungry.wait(), LOOK_AGAIN_SECONDS)

    def _must_wait(self) -> bool:
        senders = self._senders
        is_full = senders.waiting > senders.low or (self._left and not senders.free)
        return is_full or not self._settler.accepts.is_set()

    async def _claim_suspect(self) -> bool:
        """Send one message that may kill this worker, with nothing else in hand that would die with it.

        Whether there was one: then there may be more.
        """
        self._alone.take(self._senders)
        try:
            await self._until_idle()
            if self._stopping.is_set() or not self._circuit.is_open:
                return True
            claimed = await self._claim(Choice.SUSPECT, 1)
            if not claimed.suspects:
                claimed, _ = await self._claim_heads(Choice.SUSPECT, 1)
            await self._until_idle()
        finally:
            self._alone.leave(succeeds=not self._stopping.is_set())
        return claimed.suspects

    async def _until_idle(self) -> None:
        while self._alone.is_busy and not self._stopping.is_set():
            self._wait_on()
            await self._shared.pause(GATHER_SECONDS)

    def _wait_on(self) -> None:
        """Come round. Raise, for who waits for a drain's or a round's end, why outcomes have not been recorded for long."""
        self._shared.came_round(self._name)
        if self._shared.mode is not Mode.FOREVER and (error := self._settler.lasting_failure()):
            raise self._store.explain(error) from error

    async def _claim_onward(self, choice: Choice, wanted: int) -> Claimed:
        start, turn = self._watermark.start()
        with turn.taken():
            claimed = await self._claim(choice, wanted, start)
        self._watermark.advance(start, claimed)
        return claimed

    async def _claim_around(self, choice: Choice, wanted: int) -> Claimed:
        with self._ring.turn.taken():
            claimed, reached = await self._claim_heads(choice, wanted, self._ring.after)
        self._ring.advance(claimed, reached)
        return claimed

    async def _claim(self, choice: Choice, wanted: int, after: Position | None = None) -> Claimed:
        claimed = await self._thread.call(
            self._store.claim, self._name, choice, limit=wanted, free=self._senders.free, lease=self._lease, after=after
        )
        self._works()
        self._take(claimed.messages)
        return claimed

    async def _claim_heads(self, choice: Choice, wanted: int, after: str = "") -> tuple[Claimed, str]:
        claimed, reached = await self._thread.call(
            self._store.claim_heads,
            self._name,
            choice,
            limit=wanted,
            free=self._senders.free,
            lease=self._lease,
            after=after,
        )
        if claimed.messages:  # a look alone does not show that claims work
            self._works()
            self._take(claimed.messages)
        return claimed, reached

    def _works(self) -> None:
        self._backoff.restart()
        self._shared.report.works(Doing.CLAIM)

    def _take(self, messages: Sequence[Message]) -> None:
        if self._circuit.is_open and not self._alone.is_kept_from(self._senders):
            self._senders.feed(messages)
        else:  # paused meanwhile, or another destination sends what may kill this worker
            for each in messages:
                self._settler.release(each)

    def succeed(self, successors: Sequence[Message]) -> None:
        """Take messages that were claimed with a settle: the rest of their keys waits for them."""
        if self._circuit.is_open:
            self._senders.feed_first(successors)
        else:
            self._take(successors)

    def _wait(self, found: Found) -> float:
        if self._alone.is_kept_from(self._senders):
            return GATHER_SECONDS
        if not self._circuit.is_open:
            return self._wait_closed()
        if self._circuit.pacer.limited and found is not Found.NOTHING:
            return PACED_SECONDS
        if self._suspects or self._left:
            return 0.0
        if found is Found.NOTHING:
            return self._polling.next()
        self._polling.restart()
        return 0.0 if found is Found.ALL else GATHER_SECONDS

    def _wait_closed(self) -> float:
        if self._circuit.is_finding_out:
            return FINDING_OUT_SECONDS
        return min(self._circuit.remaining, LOOK_AGAIN_SECONDS / 2) or self._polling.next()

    async def _is_drained(self) -> bool:
        """Whether a draining worker is done. Raises `TryLater` when what is due cannot be sent now."""
        is_busy = self._senders.is_busy or self._settler.is_busy or self._circuit.is_finding_out
        if self._shared.mode is not Mode.DRAIN or is_busy or self._alone.is_kept_from(self._senders):
            return False
        waiting = await self._thread.call(self._store.waiting, self._name)
        if waiting.due and (why := self._why_not(paused=waiting.paused)):
            msg = f"{waiting.due} due, but {why}"
            raise TryLater(msg, hint=f"Run again later; `outbox resume {self._name}` ends a pause.")
        return not waiting.due and not waiting.leased

    def _why_not(self, *, paused: bool) -> str | None:
        """Why what is due cannot be sent now."""
        if self._shared.settings.delivery == "off":
            return f"delivery to {self._name} is switched off by OUTBOX_DELIVERY=off"
        if self._circuit.away is not None:
            return f"{self._name} cannot be reached: {self._circuit.away}"
        return f"delivery to {self._name} is paused{self._circuit.why}" if paused else None
