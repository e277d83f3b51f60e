"""What an attempt leads to: when a message is sent again, and when it is given up."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_chain, wait_fixed
from tenacity.stop import StopBaseT
from tenacity.wait import WaitBaseT, wait_base

from outbox.errors import ConfigurationError
from outbox.message import Attempt, Certainty, Delivered, Failed, FailureReason, Message, OnUnknown, Retry
from outbox.policy.changed import changed
from outbox.policy.custom import imported
from outbox.policy.verdict import NO_ANSWER, STATUSES, TABLE, Action, Rule, Verdict, verdicts
from outbox.settings import Settings, variable

LONGEST_WAIT = 30 * 86400.0
"""No wait between attempts is longer, in seconds: an exponential one soon passes what a database's clock can add."""

JITTER = 0.2
"""Share by which the waits of the schedule vary: what failed together does not come back together."""

ASK_FOR_A_PAUSE = (429, 503)
"""Answers whose `Retry-After` speaks of the destination; any other's speaks of the message alone."""


class Jittered(wait_base):
    """Any wait of tenacity's, varied at random by up to `share` of itself, after whatever cap it has."""

    def __init__(self, wait: WaitBaseT, share: float = JITTER) -> None:
        self.wait = wait
        self.share = share

    def __call__(self, retry_state: RetryCallState) -> float:
        """Seconds to wait."""
        vary = random.uniform(1 - self.share, 1 + self.share)  # noqa: S311 - spreads load, guards nothing
        return self.wait(retry_state) * vary


@dataclass(frozen=True, slots=True)
class Policy:
    """What answers mean, and the schedule of attempts: tenacity's objects, evaluated on a message's charged attempts.

    `wait` and `stop` are asked with `attempt_number` alone: an object that needs more (such as
    `stop_after_delay`) is refused with a `ConfigurationError`.
    """

    wait: WaitBaseT
    """Seconds between an attempt and the next one."""
    stop: StopBaseT
    """After which attempt a message is given up."""
    retry_after_max: float
    """Longest `Retry-After` that is honoured, in seconds."""
    table: tuple[Rule, ...] = TABLE
    """What each status means; the first rule that names it decides."""
    _verdicts: Mapping[int | None, Verdict] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_verdicts", verdicts(self.table))
        for part in (self.wait, self.stop):
            try:
                part(after(1))
            except Exception as error:
                msg = f"{type(part).__name__} cannot decide by the number of attempts alone"
                raise ConfigurationError(
                    msg, hint="Use one that can, such as wait_chain or stop_after_attempt."
                ) from error

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """The policy that the settings describe. Raises `ConfigurationError`."""
        policy = cls._scheduled(settings) if settings.policy is None else cls._imported(settings, settings.policy)
        return replace(policy, table=changed(policy.table, settings.answers)) if settings.answers else policy

    @classmethod
    def _scheduled(cls, settings: Settings) -> Policy:
        if not settings.retry_schedule:
            msg = "OUTBOX_RETRY_SCHEDULE is empty"
            raise ConfigurationError(msg, hint="Write the waits between attempts, such as 5s,30s,5m.")
        return cls(
            wait=Jittered(wait_chain(*map(wait_fixed, settings.retry_schedule))),
            stop=stop_after_attempt(settings.max_attempts),
            retry_after_max=settings.retry_after_max,
        )

    @classmethod
    def _imported(cls, settings: Settings, where: str) -> Policy:
        for name in ("retry_schedule", "max_attempts", "retry_after_max"):
            if getattr(settings, name) != getattr(Settings(), name):
                msg = f"OUTBOX_POLICY and {variable(name)} are both set, and one of them would be ignored"
                raise ConfigurationError(msg, hint="Unset one of them: a policy of your own has its own schedule.")
        policy = imported(where)
        if not isinstance(policy, cls):
            msg = f"OUTBOX_POLICY: {where} is no Policy but of type {type(policy).__name__}"
            raise ConfigurationError(msg, hint="Make it with outbox.policy.Policy(...).")
        return policy

    def judge(self, status: int | None) -> Verdict:
        """Give the verdict on an answer with this status; None where there was no answer."""
        return self._verdicts.get(status, NO_ANSWER)

    def delivered(self) -> dict[int, Delivered]:
        """Give the outcome for each status that delivers: one object for all messages."""
        return {status: Delivered(status) for status in STATUSES if self.judge(status).action is Action.DELIVERED}

    def outcome(self, message: Message, attempt: Attempt, retry_after: float | None = None) -> Retry | Failed:
        """What an attempt that did not deliver leads to. `retry_after` is the destination's wish, in seconds."""
        wish = min(retry_after or 0.0, self.retry_after_max)
        pause = wish if wish > 0 and attempt.status in ASK_FOR_A_PAUSE else None
        if (reason := self._final(message, attempt)) is not None:
            return Failed(reason, attempt, pause)
        delay = self.backoff(message.attempts + 1)
        return Retry(max(delay, wish) if pause is None else delay, attempt, pause=pause)

    def _final(self, message: Message, attempt: Attempt) -> FailureReason | None:
        """Why this attempt is the message's last one, if it is."""
        if self.judge(attempt.status).action is Action.FAILED:
            return FailureReason.REJECTED
        if attempt.certainty is Certainty.UNKNOWN and message.on_unknown == OnUnknown.PARK:
            return FailureReason.UNKNOWN
        return FailureReason.EXHAUSTED if self.is_last(message.attempts + 1) else None

    def is_last(self, made: int) -> bool:
        """Whether a message is given up after the attempt with this number."""
        return bool(self.stop(after(made)))

    def backoff(self, made: int) -> float:
        """Seconds to wait after the attempt with this number, from 0 to `LONGEST_WAIT`."""
        return bounded(self.wait(after(made)))


def bounded(delay: float) -> float:
    """Make a wait one that can be used; what is not a number becomes the longest."""
    return max(0.0, float(delay)) if delay <= LONGEST_WAIT else LONGEST_WAIT


_NOBODY = Retrying()


def after(made: int) -> RetryCallState:
    """The state that tenacity's objects look at, after the attempt with this number."""
    state = RetryCallState(_NOBODY, None, (), {})
    state.attempt_number = made
    return state
