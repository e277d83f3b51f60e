"""What an outcome says of the destination."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outbox.message import Attempt, Certainty, Delivered, Failed, FailureReason, Retry
from outbox.policy import TABLE, Action, Policy, Rule, Verdict, Weight, weigh
from outbox.settings import Settings
from support.sending import message

POLICY = Policy.of(Settings())


def weight(status: int | None, certainty: Certainty = Certainty.UNKNOWN, policy: Policy = POLICY) -> Weight:
    attempt = Attempt(0.0, 0.1, 1, certainty, "it failed", status)
    outcomes = [policy.outcome(message(attempts=made, on_unknown=word), attempt) for made, word in SENT]
    weights = {weigh(outcome, policy) for outcome in outcomes}
    assert len(weights) == 1
    return weights.pop()


SENT = [(0, "retry"), (17, "retry"), (0, "park"), (17, "park")]
"""What becomes of the message says nothing of the destination."""


@pytest.mark.parametrize("status", [None, 200, 204, 299])
def test_a_delivery_works(status: int | None) -> None:
    """Whatever it answered, it took the event."""
    assert weigh(Delivered(status), POLICY) is Weight.WORKS


@pytest.mark.parametrize("status", [400, 402, 406, 409, 413, 415, 422, 451, 499])
def test_a_refused_body_works(status: int) -> None:
    """Who judges the body is there, and is the right one."""
    assert weight(status, Certainty.REJECTED) is Weight.WORKS


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 399, 401, 403, 404, 405, 407, 410])
def test_a_refused_place(status: int) -> None:
    """A moved endpoint, a wrong URL, a blocked client."""
    assert weight(status, Certainty.REJECTED) is Weight.REFUSED


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599, 101, 600, 999])
def test_a_destination_that_cannot_now(status: int) -> None:
    """Busy, broken, or not HTTP's."""
    assert weight(status, POLICY.judge(status).certainty or Certainty.UNKNOWN) is Weight.FAILING


def test_no_answer() -> None:
    """A timeout, a reset, garbage: failing. What never left says nothing of the destination: away."""
    assert weight(None) is Weight.FAILING
    assert weight(None, Certainty.NOT_SENT) is Weight.AWAY


def test_the_policys_own_table_decides() -> None:
    """A status that a policy reads in its own way weighs accordingly."""
    place = Rule((range(451, 452),), Verdict(Action.RETRY, Certainty.REJECTED, destination=True), "a blocked client")
    body = Rule((range(404, 405),), Verdict(Action.FAILED, Certainty.REJECTED), "this one is gone")
    own = replace(POLICY, table=(place, body, *TABLE))
    assert weight(451, Certainty.REJECTED, own) is Weight.REFUSED
    assert weight(404, Certainty.REJECTED, own) is Weight.WORKS


def test_the_last_answer_counts_and_the_worst_certainty() -> None:
    """A 502 and then no connection is a failing destination, not an absent network: the first try reached it."""
    attempt = Attempt(0.0, 0.1, 3, Certainty.UNKNOWN, "connection refused")
    assert weigh(Retry(5.0, attempt), POLICY) is Weight.FAILING
    refused = Attempt(0.0, 0.1, 2, Certainty.UNKNOWN, "HTTP 400 Bad Request", 400)
    assert weigh(Failed(FailureReason.REJECTED, refused), POLICY) is Weight.WORKS
