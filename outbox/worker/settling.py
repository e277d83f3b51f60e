"""Settle: outcomes gather while the last group is being written, and are the next group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from outbox.clock import lease_clock
from outbox.message import Message, Outcome
from outbox.store import TROUBLE, Settled, Settlement, Store
from outbox.worker.pace import backoff
from outbox.worker.report import Doing, Report, logger
from outbox.worker.thread import StoreThread

LAST_SETTLE_SECONDS = 10.0
"""How long a worker that stops, or drains, keeps trying to record its outcomes while the database fails."""

LOCKED_SECONDS = 0.5
"""How long a row that somebody else has locked is left alone."""


class Settler:
    """Writes outcomes and gives back what was not sent: at once when idle, in groups when busy, no timer."""

    def __init__(self, store: Store, thread: StoreThread, report: Report, *, most: int, lease: float) -> None:
        self.accepts = asyncio.Event()
        """Clear while the database does not take settles, or not as fast as outcomes come: then nothing is
        claimed and nothing is sent. `most` outcomes wait or are being written: a crash makes duplicates of them."""
        self.accepts.set()
        self.on_opening: Callable[[], None] = lambda: None
        """Called when `accepts` is set again."""
        self.on_trouble: Callable[[], None] = lambda: None
        """Called when the database begins to fail."""
        self.on_successors: Callable[[Sequence[Message]], None] = self._release_all
        """Called with messages that were claimed with a settle: the next ones of the settled ones' keys."""
        self.succeeds = False
        """Whether to claim successors."""
        self.unrecorded: Exception | None = None
        """Why outcomes could not be recorded before `run` gave up."""
        self._most = most
        self._lease = lease
        self._store = store
        self._thread = thread
        self._report = report
        self._outcomes: list[Settlement] = []
        self._unsent: list[Message] = []
        self._locked = 0
        self._gathered = asyncio.Event()
        self._writing: list[Settlement] | None = None
        self._failure: Exception | None = None
        self._failing_since = 0.0
        self._give_up_at: float | None = None

    @property
    def is_busy(self) -> bool:
        """Whether anything waits to be written."""
        return bool(self._outcomes or self._unsent or self._writing is not None)

    def settle(self, message: Message, outcome: Outcome) -> None:
        """Take an outcome for the next group."""
        self._outcomes.append((message, outcome))
        self._gathered.set()
        self._close_if_full()

    def release(self, message: Message) -> None:
        """Take a message to give back, uncharged, with the next group."""
        self._unsent.append(message)
        self._gathered.set()

    def _release_all(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.release(message)

    def finish(self) -> None:
        """Let `run` return when all is written; give up on a database that keeps failing."""
        self._give_up_at = lease_clock() + LAST_SETTLE_SECONDS
        self._gathered.set()

    def lasting_failure(self) -> Exception | None:
        """Why settles have been failing for so long that a worker which should end soon cannot wait for them."""
        return self._failure if lease_clock() - self._failing_since > LAST_SETTLE_SECONDS else None

    async def run(self) -> None:
        """Write group after group, until all is written that there was before `finish`, or it is given up."""
        while not self._is_done():
            await self._gathered.wait()
            self._gathered.clear()
            outcomes, self._outcomes = self._outcomes, []
            unsent, self._unsent = self._unsent, []
            if outcomes or unsent:
                self._writing = outcomes
                await self._write(outcomes, unsent)
                self._writing = None
            self._open()

    def _is_done(self) -> bool:
        if self._give_up_at is None:
            return False
        if self.unrecorded is not None or not self.is_busy:
            return True
        is_late = lease_clock() > self._give_up_at
        if is_late and not self._unsent and len(self._outcomes) == self._locked:
            logger.error("%d outcomes not recorded: their rows stayed locked by others", self._locked)
            return True
        return False

    async def _write(self, outcomes: list[Settlement], unsent: list[Message]) -> None:
        waits = backoff()
        # One for all repeats: after a COMMIT whose answer was lost the successors are known by it.
        succession = self._store.succession(self._lease) if self.succeeds else None
        while True:
            try:
                result = await self._thread.call(self._store.settle, outcomes, unsent, succession)
            except TROUBLE as error:
                self._fail(error)
                if self._give_up_at is not None and lease_clock() > self._give_up_at:
                    self.unrecorded = error
                    lost = len(outcomes) + len(self._outcomes)
                    logger.error("%d outcomes could not be recorded: those messages will be sent again", lost)
                    return
                await asyncio.sleep(waits.next())
            else:
                self._failure = None
                self._report.works(Doing.SETTLE)
                self._report.settled(outcomes, len(unsent), result)
                self._postpone(result)
                if result.successors:
                    (self.on_successors if self.succeeds else self._release_all)(result.successors)
                return

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failing_since = lease_clock()
        self._failure = error
        self.accepts.clear()
        self._report.trouble(Doing.SETTLE, self._store.explain(error))
        self.on_trouble()

    def _is_full(self) -> bool:
        return len(self._outcomes) + len(self._writing or ()) >= self._most

    def _close_if_full(self) -> None:
        if self._is_full():
            self.accepts.clear()

    def _open(self) -> None:
        if not self.accepts.is_set() and self._failure is None and not self._is_full():
            self.accepts.set()
            self.on_opening()

    def _postpone(self, result: Settled) -> None:
        self._locked = len(result.locked)
        for message, outcome in result.locked:
            self._outcomes.append((message, outcome))
        self._close_if_full()
        if result.locked:
            asyncio.get_running_loop().call_later(LOCKED_SECONDS, self._gathered.set)
