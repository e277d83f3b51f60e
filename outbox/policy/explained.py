"""A policy as a table for people: what each answer and each error leads to. Made by asking the policy itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from outbox.message import Attempt, Certainty, Claim, Delivered, Failed, Message, OnUnknown, Outcome
from outbox.policy.schedule import ASK_FOR_A_PAUSE, Policy
from outbox.policy.verdict import Action, Rule
from outbox.policy.weight import Weight, weigh
from outbox.settings.values import show_duration


class Charged(StrEnum):
    """Whether the attempt counts among those after which a message is given up."""

    NO = "no"
    UNLESS_PAUSED = "unless paused"
    """Yes; no where the destination is paused because of it."""
    YES = "yes"


class Line(NamedTuple):
    """What one kind of answer, or of error, leads to."""

    answer: str
    then: str
    """An `Action`; with `on_unknown="retry"`."""
    park: str
    """The same with `on_unknown="park"`."""
    certainty: Certainty | None
    """None where the event was delivered."""
    charged: Charged
    destination: str
    """A `Weight`, or for how long it is paused."""
    why: str


def explained(policy: Policy) -> Iterator[Line]:
    """Give a line for each rule that decides about a status, in their order, then one for each kind of error."""
    named: set[int] = set()
    for rule in policy.table:
        statuses = {status for each in rule.statuses for status in each}
        if decided := statuses - named:
            yield _line(policy, rule, min(decided))
        named |= statuses
    for status in ASK_FOR_A_PAUSE:
        yield from _asked(policy, status)
    for certainty, what, why in _ERRORS:
        yield _told(policy, what, Attempt(0.0, 0.0, 1, certainty, what), why)


_ERRORS = (
    (Certainty.UNKNOWN, "no whole answer in time, reset, not HTTP", "it may have been processed"),
    (Certainty.NOT_SENT, "DNS, connect or TLS failed", "the request never left"),
)


def _line(policy: Policy, rule: Rule, status: int) -> Line:
    verdict = policy.judge(status)
    if verdict.action is Action.DELIVERED:
        works, delivered = weigh(Delivered(status), policy), Action.DELIVERED
        return Line(rule.text, delivered, delivered, None, Charged.NO, works, rule.why)
    certainty = verdict.certainty or Certainty.UNKNOWN
    return _told(policy, rule.text, Attempt(0.0, 0.0, 1, certainty, rule.text, status), rule.why)


def _asked(policy: Policy, status: int) -> Iterator[Line]:
    """An answer that asks for a pause, where the policy grants one."""
    what = f"{status} with Retry-After"
    verdict = policy.judge(status)
    attempt = Attempt(0.0, 0.0, 1, verdict.certainty or Certainty.UNKNOWN, what, status)
    pause = policy.outcome(_message(OnUnknown.RETRY), attempt, math.inf).pause
    if verdict.action is not Action.DELIVERED and pause is not None:
        line = _told(policy, what, attempt, "it asks not to be sent anything")
        charged = line.charged if line.charged is Charged.YES else Charged.NO
        yield line._replace(charged=charged, destination=f"paused as it asks, at most {show_duration(pause)}")


def _told(policy: Policy, what: str, attempt: Attempt, why: str) -> Line:
    outcome, parked = (policy.outcome(_message(word), attempt) for word in OnUnknown)
    weight = weigh(outcome, policy)
    charged = Charged.YES if isinstance(outcome, Failed) else _CHARGED[weight]
    return Line(what, _word(outcome), _word(parked), attempt.certainty, charged, weight, why)


_CHARGED = {
    Weight.WORKS: Charged.YES,
    Weight.FAILING: Charged.UNLESS_PAUSED,
    Weight.REFUSED: Charged.UNLESS_PAUSED,
    Weight.AWAY: Charged.NO,
}


def _message(on_unknown: str) -> Message:
    return Message("", "", "", 0, on_unknown, False, "", Claim(UUID(int=0), 0.0))


def _word(outcome: Outcome) -> str:
    return f"failed ({outcome.reason})" if isinstance(outcome, Failed) else Action.RETRY
