"""Claim: keep the senders' queue filled, no fuller than they can empty soon."""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum

from outbox.clock import lease_clock
from outbox.errors import OutboxError, TryLater
from outbox.settings import Settings
from outbox.store import TROUBLE, Choice, Claimed, Position, Store
from outbox.worker.pace import GATHER_SECONDS, LOOK_AGAIN_SECONDS, Prefetch, backoff, polling
from outbox.worker.report import Doing, Report
from outbox.worker.sending import Senders
from outbox.worker.settling import Settler
from outbox.worker.thread import StoreThread
from outbox.worker.watermark import Ring, Watermark


class Mode(Enum):
    """When a worker ends by itself."""

    FOREVER = "forever"
    DRAIN = "drain"
    """When nothing is due and nothing is leased to others."""
    ONCE = "once"
    """After one claim."""


class Found(Enum):
    """What a round of claims came to."""

    NOTHING = "nothing"
    SOME = "some"
    """Less than was asked for."""
    ALL = "all"
    """As much as was asked for: there may be more."""


class Claimer:
    """Asks the database for due messages: at once while there is work, slower and slower when idle."""

    def __init__(self, store: Store, thread: StoreThread, report: Report, settings: Settings, mode: Mode) -> None:
        self.stopping = asyncio.Event()
        self._store = store
        self._thread = thread
        self._report = report
        self._settings = settings
        self._mode = mode
        self._destination = "overcentric"
        self._backoff = backoff()
        self._polling = polling()
        self._suspects = False
        self._left = False
        self._watermark = Watermark()
        self._ring = Ring()

    async def until_ready(self) -> None:
        """Wait for a database that answers and holds our schema; a draining worker does not wait."""
        while not self.stopping.is_set():
            try:
                await self._thread.call(self._store.check)
                if self._mode is Mode.DRAIN:
                    self._report.counts.due = (await self._thread.call(self._store.waiting, self._destination)).due
            except (*TROUBLE, OutboxError) as error:
                await self._bear(error)
            else:
                self._report.works(Doing.CLAIM)
                return

    async def run(self, senders: Senders, settler: Settler) -> None:
        """Claim until stopped, or as the mode says."""
        prefetch, asked = Prefetch(self._settings.concurrency), lease_clock()
        while not self.stopping.is_set():
            await self._until_hungry(senders, settler)
            begun, senders.begun, now = senders.begun, 0, lease_clock()
            prefetch.observe(begun, now - asked)
            asked, senders.low = now, prefetch.size // 2
            try:
                found = await self._round(senders, prefetch.size - senders.waiting)
                if self._suspects:
                    self._suspects = await self._claim_suspect(senders, settler)
                is_finished = self._mode is Mode.ONCE or (
                    found is Found.NOTHING and await self._is_drained(senders, settler)
                )
            except TROUBLE as error:
                await self._bear(error)
                continue
            if is_finished:
                return
            await self._pause(self._wait(found))

    async def _round(self, senders: Senders, wanted: int) -> Found:
        """Claim heads of keys, if it is their turn, and messages without a key: up to `wanted` together."""
        if self._settings.delivery == "off" or self.stopping.is_set():
            return Found.NOTHING
        choice = Choice.CALM if self._suspects else Choice.ANY
        parts = []
        if self._ring.has_come():
            parts.append(await self._claim_around(choice, max(1, wanted // 2), senders))
            wanted -= len(parts[0].messages)
        if wanted > 0:
            parts.append(await self._claim_onward(choice, wanted, senders))
        self._left = any(each.left for each in parts)
        self._suspects = self._suspects or any(each.suspects for each in parts)
        if not any(each.messages for each in parts):
            return Found.NOTHING
        return Found.ALL if wanted <= 0 or parts[-1].more else Found.SOME

    async def _until_hungry(self, senders: Senders, settler: Settler) -> None:
        """Wait until half of what should be held ready has been taken, and until outcomes are being settled."""
        while not self.stopping.is_set() and self._must_wait(senders, settler):
            self._require_settles(settler)
            senders.hungry.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(senders.hungry.wait(), LOOK_AGAIN_SECONDS)

    def _must_wait(self, senders: Senders, settler: Settler) -> bool:
        return senders.waiting > senders.low or not settler.accepts.is_set() or (self._left and not senders.free)

    async def _claim_suspect(self, senders: Senders, settler: Settler) -> bool:
        """Send one message that may kill this worker, with nothing else in hand that would die with it.

        Whether there was one: then there may be more.
        """
        settler.succeeds = False
        try:
            await self._until_idle(senders, settler)
            if self.stopping.is_set():
                return True
            claimed = await self._claim(Choice.SUSPECT, 1, senders)
            if not claimed.suspects:
                claimed, _ = await self._claim_heads(Choice.SUSPECT, 1, senders)
            await self._until_idle(senders, settler)
        finally:
            settler.succeeds = not self.stopping.is_set()
        return claimed.suspects

    async def _until_idle(self, senders: Senders, settler: Settler) -> None:
        while (senders.is_busy or settler.is_busy) and not self.stopping.is_set():
            self._require_settles(settler)
            await self._pause(GATHER_SECONDS)

    def _require_settles(self, settler: Settler) -> None:
        """Raise, for who waits for a drain's or a round's end, why outcomes have not been recorded for long."""
        if self._mode is not Mode.FOREVER and (error := settler.lasting_failure()):
            raise self._store.explain(error) from error

    async def _claim_onward(self, choice: Choice, wanted: int, senders: Senders) -> Claimed:
        start, turn = self._watermark.start()
        with turn.taken():
            claimed = await self._claim(choice, wanted, senders, start)
        self._watermark.advance(start, claimed)
        return claimed

    async def _claim_around(self, choice: Choice, wanted: int, senders: Senders) -> Claimed:
        with self._ring.turn.taken():
            claimed, reached = await self._claim_heads(choice, wanted, senders, self._ring.after)
        self._ring.advance(claimed, reached)
        return claimed

    async def _claim(self, choice: Choice, wanted: int, senders: Senders, after: Position | None = None) -> Claimed:
        claimed = await self._thread.call(
            self._store.claim,
            self._destination,
            choice,
            limit=wanted,
            free=senders.free,
            lease=self._settings.lease,
            after=after,
        )
        self._take(claimed, senders)
        return claimed

    async def _claim_heads(self, choice: Choice, wanted: int, senders: Senders, after: str = "") -> tuple[Claimed, str]:
        claimed, reached = await self._thread.call(
            self._store.claim_heads,
            self._destination,
            choice,
            limit=wanted,
            free=senders.free,
            lease=self._settings.lease,
            after=after,
        )
        if claimed.messages:  # a look alone does not show that claims work
            self._take(claimed, senders)
        return claimed, reached

    def _take(self, claimed: Claimed, senders: Senders) -> None:
        self._backoff.restart()
        self._report.works(Doing.CLAIM)
        senders.feed(claimed.messages)

    def _wait(self, found: Found) -> float:
        if self._suspects or self._left:
            return 0.0
        if found is Found.NOTHING:
            return self._polling.next()
        self._polling.restart()
        return 0.0 if found is Found.ALL else GATHER_SECONDS

    async def _is_drained(self, senders: Senders, settler: Settler) -> bool:
        """Whether a draining worker is done. Raises `TryLater` when what is due cannot be sent now."""
        if self._mode is not Mode.DRAIN or senders.is_busy or settler.is_busy:
            return False
        waiting = await self._thread.call(self._store.waiting, self._destination)
        is_off = self._settings.delivery == "off"
        if waiting.due and (waiting.paused or is_off):
            why = "is switched off by OUTBOX_DELIVERY=off" if is_off else "is paused"
            msg = f"{waiting.due} due, but delivery to {self._destination} {why}"
            raise TryLater(msg, hint="Run again later.")
        return not waiting.due and not waiting.leased

    def account_for(self, unrecorded: Exception | None) -> None:
        """Raise why outcomes were not recorded, for who waits for a drain's or a round's result."""
        if unrecorded is not None and self._mode is not Mode.FOREVER:
            raise self._store.explain(unrecorded) from unrecorded

    async def _bear(self, error: Exception) -> None:
        """Wait out the database's trouble. What a person must repair first ends a worker that does not wait."""
        explained = error if isinstance(error, OutboxError) else self._store.explain(error)
        if self._mode is not Mode.FOREVER or explained.exit_code == 78:
            raise explained from error
        self._report.trouble(Doing.CLAIM, explained)
        await self._pause(self._backoff.next())

    async def _pause(self, seconds: float) -> None:
        """Sleep, but wake when asked to stop."""
        if seconds:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), seconds)
