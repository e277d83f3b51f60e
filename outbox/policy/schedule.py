"""When a message is sent again, and when it is given up."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Self

from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_chain, wait_fixed
from tenacity.stop import StopBaseT
from tenacity.wait import WaitBaseT, wait_base

from outbox.errors import ConfigurationError
from outbox.message import Attempt, Certainty, Failed, FailureReason, Message, OnUnknown, Retry
from outbox.policy.verdict import Action, judge
from outbox.settings import Settings

LONGEST_WAIT = 30 * 86400.0
"""No wait between attempts is longer, in seconds: an exponential one soon passes what a database's clock can add."""

JITTER = 0.2
"""Share by which the waits of the schedule vary: what failed together does not come back together."""


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
    """The schedule of attempts, in tenacity's words, evaluated on a message's charged attempts.

    `wait` and `stop` are asked with `attempt_number` alone: an object that needs more (such as
    `stop_after_delay`) is refused with a `ConfigurationError`.
    """

    wait: WaitBaseT
    """Seconds between an attempt and the next one."""
    stop: StopBaseT
    """After which attempt a message is given up."""
    retry_after_max: float
    """Longest `Retry-After` that is honoured, in seconds."""

    def __post_init__(self) -> None:
        for part in (self.wait, self.stop):
            try:
                part(_after(1))
            except Exception as error:
                msg = f"{type(part).__name__} cannot decide by the number of attempts alone"
                raise ConfigurationError(
                    msg, hint="Use one that can, such as wait_chain or stop_after_attempt."
                ) from error

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The policy that the settings describe."""
        if not settings.retry_schedule:
            msg = "OUTBOX_RETRY_SCHEDULE is empty"
            raise ConfigurationError(msg, hint="Write the waits between attempts, such as 5s,30s,5m.")
        return cls(
            wait=Jittered(wait_chain(*map(wait_fixed, settings.retry_schedule))),
            stop=stop_after_attempt(settings.max_attempts),
            retry_after_max=settings.retry_after_max,
        )

    def outcome(self, message: Message, attempt: Attempt, retry_after: float | None = None) -> Retry | Failed:
        """What an attempt that did not deliver leads to. `retry_after` is the destination's wish, in seconds."""
        if judge(attempt.status).action is Action.FAILED:
            return Failed(FailureReason.REJECTED, attempt)
        if attempt.certainty is Certainty.UNKNOWN and message.on_unknown == OnUnknown.PARK:
            return Failed(FailureReason.UNKNOWN, attempt)
        made = message.attempts + 1
        if self.stop(_after(made)):
            return Failed(FailureReason.EXHAUSTED, attempt)
        return Retry(max(self.backoff(made), min(retry_after or 0.0, self.retry_after_max)), attempt)

    def backoff(self, made: int) -> float:
        """Seconds to wait after the attempt with this number, from 0 to `LONGEST_WAIT`."""
        delay = float(self.wait(_after(made)))
        return max(0.0, delay) if delay <= LONGEST_WAIT else LONGEST_WAIT  # not a number ends here too


_NOBODY = Retrying()


def _after(made: int) -> RetryCallState:
    """The state that tenacity's objects look at, after the attempt with this number."""
    state = RetryCallState(_NOBODY, None, (), {})
    state.attempt_number = made
    return state
