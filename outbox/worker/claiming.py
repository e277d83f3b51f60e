"""Claim: keep the senders' queue filled, no fuller than they can empty soon."""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum

from outbox.clock import lease_clock
from outbox.errors import OutboxError, TryLater
from outbox.settings import Settings
from outbox.store import TROUBLE, Choice, Claimed, Store
from outbox.worker.pace import GATHER_SECONDS, LOOK_AGAIN_SECONDS, Prefetch, backoff, polling
from outbox.worker.report import Report
from outbox.worker.sending import Senders
from outbox.worker.settling import Settler
from outbox.worker.thread import StoreThread


class Mode(Enum):
    """When a worker ends by itself."""

    FOREVER = "forever"
    DRAIN = "drain"
    """When nothing is due and nothing is leased to others."""
    ONCE = "once"
    """After one claim."""


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
                self._report.works()
                return

    async def run(self, senders: Senders, settler: Settler) -> None:
        """Claim until stopped, or as the mode says."""
        prefetch, asked = Prefetch(self._settings.concurrency), lease_clock()
        while not self.stopping.is_set():
            await self._until_hungry(senders, settler)
            begun, senders.begun, now = senders.begun, 0, lease_clock()
            prefetch.observe(begun, now - asked)
            asked, senders.low = now, prefetch.size // 2
            wanted = prefetch.size - senders.waiting
            try:
                claimed = await self._claim(Choice.CALM if self._suspects else Choice.ANY, wanted, senders)
                if claimed.suspects or self._suspects:
                    self._suspects = await self._claim_suspect(senders, settler)
                is_finished = self._mode is Mode.ONCE or (
                    not claimed.messages and await self._is_drained(senders, settler)
                )
            except TROUBLE as error:
                await self._bear(error)
                continue
            if is_finished:
                return
            await self._pause(self._wait(claimed, wanted))

    async def _until_hungry(self, senders: Senders, settler: Settler) -> None:
        """Wait until half of what should be held ready has been taken, and until outcomes are being settled."""
        while not self.stopping.is_set() and (senders.waiting > senders.low or not settler.accepts.is_set()):
            self._require_settles(settler)
            senders.hungry.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(senders.hungry.wait(), LOOK_AGAIN_SECONDS)

    async def _claim_suspect(self, senders: Senders, settler: Settler) -> bool:
        """Send one message that may kill this worker, with nothing else in hand that would die with it.

        Whether there was one: then there may be more.
        """
        await self._until_idle(senders, settler)
        claimed = await self._claim(Choice.SUSPECT, 1, senders)
        await self._until_idle(senders, settler)
        return claimed.suspects

    async def _until_idle(self, senders: Senders, settler: Settler) -> None:
        while (senders.is_busy or settler.is_busy) and not self.stopping.is_set():
            self._require_settles(settler)
            await self._pause(GATHER_SECONDS)

    def _require_settles(self, settler: Settler) -> None:
        """Raise, for who waits for a drain's or a round's end, why outcomes have not been recorded for long."""
        if self._mode is not Mode.FOREVER and (error := settler.lasting_failure()):
            raise self._store.explain(error) from error

    async def _claim(self, choice: Choice, wanted: int, senders: Senders) -> Claimed:
        if self._settings.delivery == "off" or self.stopping.is_set():
            return Claimed(())
        claimed = await self._thread.call(
            self._store.claim,
            self._destination,
            choice,
            limit=wanted,
            free=senders.free,
            lease=self._settings.lease,
        )
        self._backoff.restart()
        self._report.works()
        senders.feed(claimed.messages)
        return claimed

    def _wait(self, claimed: Claimed, wanted: int) -> float:
        if self._suspects:
            return 0.0
        if not claimed.messages:
            return self._polling.next()
        self._polling.restart()
        return 0.0 if len(claimed.messages) >= wanted else GATHER_SECONDS

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
        self._report.trouble(explained)
        await self._pause(self._backoff.next())

    async def _pause(self, seconds: float) -> None:
        """Sleep, but wake when asked to stop."""
        if seconds:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), seconds)
