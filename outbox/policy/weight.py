"""What an outcome says of the destination, whatever becomes of the message."""

from __future__ import annotations

from enum import StrEnum

from outbox.message import Certainty, Delivered, Outcome
from outbox.policy.schedule import Policy
from outbox.policy.verdict import Action


class Weight(StrEnum):
    """What one attempt tells about the destination. Whether that is enough for a pause is the worker's matter."""

    WORKS = "works"
    """It took the event, or looked at it and refused this one."""

    FAILING = "failing"
    """It answered that it cannot now, or gave no answer of HTTP's."""

    REFUSED = "refused"
    """It may be the wrong place, or not let this client in."""

    AWAY = "away"
    """Nothing reached it: its network, or our own, is gone."""


def weigh(outcome: Outcome, policy: Policy) -> Weight:
    """Weigh an attempt that ended by itself; one that our own shutdown cut off says nothing."""
    if isinstance(outcome, Delivered):
        return Weight.WORKS
    attempt = outcome.attempt
    if attempt.certainty is Certainty.NOT_SENT:
        return Weight.AWAY
    verdict = policy.judge(attempt.status)
    if verdict.destination:
        return Weight.REFUSED
    return Weight.WORKS if verdict.action is Action.FAILED else Weight.FAILING
