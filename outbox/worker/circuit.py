"""A destination's circuit: whether it may be sent to now, by what this process has seen and what the fleet has agreed on.

Open, everything goes out. A pause closes it for all workers, through the database; trouble of this process's own network
closes it here alone. Either way one message is sent to find out whether it can be opened again: the probe.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from outbox.clock import lease_clock
from outbox.message import Attempt, Cause, Delivered, Failed, FailureReason, Message, Outcome, Retry
from outbox.policy import Policy, Weight, weigh
from outbox.store import TROUBLE, Gate, Probe
from outbox.worker.pace import Waits, backoff
from outbox.worker.pacing import AHEAD_SECONDS, Pacer
from outbox.worker.report import Doing
from outbox.worker.settling import LAST_SETTLE_SECONDS
from outbox.worker.shared import Shared
from outbox.worker.streak import Streak

P = ParamSpec("P")
T = TypeVar("T")

_TURN_SECONDS = 2.0
"""How much longer than a try a probe's turn lasts: claiming it, and recording what it came to."""

_RAMP_SECONDS = 8.0
"""How long after a pause the store hands out sending times."""


class Circuit:
    """Judges each outcome, pauses the destination, and opens it again."""

    def __init__(self, name: str, shared: Shared, policy: Policy, me: str) -> None:
        """`me` is what other workers are told of who paused."""
        self.is_open = True
        """Whether messages may be claimed and sent."""
        self.away: str | None = None
        """Why this process cannot reach the destination, if it cannot."""
        self.on_closing: Callable[[], None] = lambda: None
        """Called when nothing may be sent any more."""
        settings = shared.settings
        limits = settings.destinations[name]
        self.pacer = Pacer(self._slots, rate=limits.rate, concurrency=limits.concurrency)
        self._name = name
        self._limits = limits
        self._store = shared.store
        self._thread = shared.thread
        self._report = shared.report
        self._settings = settings
        self._policy = policy
        self._me = me
        self._gate = Gate(name)
        self._paused_until = self._away_until = self._opened_at = -math.inf
        self._waits = Waits(settings.pause_first, settings.pause_longest, 2.0)
        self._streak = Streak(settings.pause_after)
        self._probe: Probe | None = None
        self._writing: set[asyncio.Task[None]] = set()

    @property
    def remaining(self) -> float:
        """Seconds until a probe may be sent; endless where an operator must resume."""
        return max(0.0, max(self._paused_until, self._away_until) - lease_clock())

    @property
    def is_finding_out(self) -> bool:
        """Whether a probe is on its way, or what it came to is being written."""
        return self._probe is not None or bool(self._writing)

    @property
    def is_paused(self) -> bool:
        """Whether a pause is in force that all workers heed."""
        return self._gate.cause is not None

    @property
    def why(self) -> str:
        """Who has paused it and why, to follow the word."""
        return f" by {self._gate.by}: {self._gate.reason}" if self._gate.cause else ""

    def see(self, gate: Gate) -> None:
        """Take in what the database says of the destination."""
        if not self._writing:  # else it said so before what is being written now
            self._apply(gate)

    def _apply(self, gate: Gate) -> None:
        was, self._gate = self._gate, gate
        self._paused_until = lease_clock() + gate.remaining if gate.cause else -math.inf
        if gate.cause is not None and (was.cause is None or gate.cause is Cause.OPERATOR is not was.cause):
            self._report.paused(gate)
        if gate.cause is None and was.cause is not None:
            self._report.resumed(self._name)
        if gate.cause is None and gate.opened < _RAMP_SECONDS:
            self.pacer.ramp()
        self._set()

    def observe(self, message: Message, outcome: Outcome, in_flight: int) -> Outcome:
        """Take in what an attempt came to, and give what is to be settled: a pause's cause charges no message.

        `in_flight`: how many others are being sent at this moment.
        """
        if self._probe is not None and message.id == self._probe.message.id:
            return self._conclude(self._probe, outcome, in_flight)
        if type(outcome) is Delivered or (weight := weigh(outcome, self._policy)) is Weight.WORKS:
            self._streak.end()
            return outcome
        return self._bear(message, outcome, weight, in_flight)

    def _bear(
        self, message: Message, outcome: Outcome, weight: Weight, in_flight: int, *, is_fresh: bool = False
    ) -> Outcome:
        """Judge what tells against the destination and not, or not alone, against the message."""
        attempt, wish = _attempt(outcome), _wish(outcome)
        if attempt.began < self._opened_at and not is_fresh:  # it tells of the outage that has ended meanwhile
            return _spared(outcome)
        if weight is Weight.AWAY:
            if self.away is None:
                self._lose(attempt.error)
            return _spared(outcome)
        if wish is not None:
            self._pause(Cause.RETRY_AFTER, attempt.error, wish)
        if self._gate.cause is not None:
            return _spared(outcome)
        if self._streak.add(message.id, attempt.began, in_flight):
            count = len(self._streak)
            self._pause(_cause(weight), f"{count} different messages in a row failed, the last: {attempt.error}")
        return outcome

    async def probe(self, feed: Callable[[Message], None]) -> bool:
        """Send one message, when it is this worker's turn; whether there was one. `observe` learns what came of it."""
        turn = self._limits.try_timeout + _TURN_SECONDS
        self._probe = await self._thread.call(self._store.probe, self._name, turn=turn, lease=self._settings.lease)
        if self._probe is None:
            return False
        feed(self._probe.message)
        return True

    def unsent(self, message: Message) -> None:
        """Take in that a message will come to no outcome here."""
        if self._probe is not None and message.id == self._probe.message.id:
            probe, self._probe = self._probe, None
            self._write(self._store.end_turn, self._name, probe.token)

    def _conclude(self, probe: Probe, outcome: Outcome, in_flight: int) -> Outcome:
        """Open what a probe found to work; pause anew what it did not."""
        self._probe = None
        weight = Weight.WORKS if type(outcome) is Delivered else weigh(outcome, self._policy)
        if weight is Weight.AWAY:
            self._lose(_attempt(outcome).error)
            self._write(self._store.end_turn, self._name, probe.token)
            return _spared(outcome)
        self._reach()
        if weight is Weight.WORKS:
            self._streak.end()
            self._write(self._store.reopen, self._name, probe.token)
            return outcome
        if self._gate.cause is None:
            self._write(self._store.end_turn, self._name, probe.token)
            return self._bear(probe.message, outcome, weight, in_flight, is_fresh=True)
        wish = _wish(outcome)
        self._write(
            self._store.pause_again,
            self._name,
            probe.token,
            _cause(weight) if wish is None else Cause.RETRY_AFTER,
            _attempt(outcome).error,
            self._me,
            seconds=wish,
            first=self._settings.pause_first,
            longest=self._settings.pause_longest,
        )
        return outcome if probe.charged and wish is None else _spared(outcome)

    def _lose(self, error: str) -> None:
        """Close here alone: this process could not reach the destination."""
        if self.away is None:
            self._report.away(self._name, error)
        self.away, self._away_until = error, lease_clock() + self._waits.next()
        self._set()

    def _reach(self) -> None:
        if self.away is not None:
            self.away, self._away_until = None, -math.inf
            self._waits.restart()
            self._report.reached(self._name)
            self.pacer.ramp_here()
            self._set()

    def _pause(self, cause: Cause, reason: str, seconds: float | None = None) -> None:
        """Close here at once, and for all workers as soon as it is written."""
        if self._gate.cause is not None and not self._is_longer(seconds):
            return
        wait = self._settings.pause_first if seconds is None else seconds
        self._apply(Gate(self._name, cause, reason, self._me, wait))
        self._write(
            self._store.pause,
            self._name,
            cause,
            reason,
            self._me,
            seconds=seconds,
            failing_for=self._streak.seconds,
            first=self._settings.pause_first,
            longest=self._settings.pause_longest,
        )

    def _is_longer(self, seconds: float | None) -> bool:
        """Whether a wish asks for a longer pause than the one in force, beyond what answers that arrive together differ by."""
        if seconds is None or self._gate.cause is Cause.OPERATOR or self._writing:
            return False
        return seconds > self.remaining + 1.0

    def _set(self) -> None:
        was, self.is_open = self.is_open, self._gate.cause is None and self.away is None
        if was and not self.is_open:
            self.pacer.stop()
            self.on_closing()
        elif self.is_open and not was:
            self._opened_at = lease_clock()
            self._streak.end()

    def _write(self, change: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Change the row, and see what it is then."""
        task = asyncio.create_task(self._change(lambda: change(*args, **kwargs)))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _change(self, change: Callable[[], object]) -> None:
        def change_and_look() -> Gate:
            change()
            return self._store.gates([self._name])[self._name]

        gate = await self._insist(change_and_look)
        self._writing.discard(asyncio.current_task())
        self.see(gate)

    async def _slots(self, count: int) -> Sequence[float]:
        """Ask for sending times; see `Pacer`."""
        rate, concurrency = self._limits.rate, self._limits.concurrency
        return await self._insist(
            lambda: self._store.slots(self._name, count, rate=rate, concurrency=concurrency, ahead=AHEAD_SECONDS)
        )

    async def _insist(self, work: Callable[[], T]) -> T:
        """Ask the database, however long it is in trouble."""
        waits = backoff()
        while True:
            try:
                result = await self._thread.call(work)
            except TROUBLE as error:
                self._report.trouble(Doing.PAUSE, self._store.explain(error))
                await asyncio.sleep(waits.next())
            else:
                self._report.works(Doing.PAUSE)
                return result

    async def finish(self) -> None:
        """Write what is left to write; not for ever where the database fails."""
        self.pacer.close()
        if self._writing:
            await asyncio.wait(self._writing, timeout=LAST_SETTLE_SECONDS)
        for task in self._writing:
            task.cancel()


def _attempt(outcome: Outcome) -> Attempt:
    assert not isinstance(outcome, Delivered)  # noqa: S101 - for the type checker: what was delivered is weighed as such
    return outcome.attempt


def _wish(outcome: Outcome) -> float | None:
    return None if isinstance(outcome, Delivered) else outcome.pause


def _cause(weight: Weight) -> Cause:
    return Cause.REFUSED if weight is Weight.REFUSED else Cause.FAILING


def _spared(outcome: Outcome) -> Outcome:
    """The outcome without its charge. What was parked stays so: it may have been processed."""
    if isinstance(outcome, Retry):
        return Retry(0.0, outcome.attempt, charged=False)
    if isinstance(outcome, Failed) and outcome.reason is FailureReason.EXHAUSTED:
        return Retry(0.0, outcome.attempt, charged=False)
    return outcome
