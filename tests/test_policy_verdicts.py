"""What each HTTP status means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outbox.message import Certainty, Delivered
from outbox.policy import NO_ANSWER, STATUSES, TABLE, Action, Policy, Rule, Verdict
from outbox.settings import Settings

judge = Policy.of(Settings()).judge

REJECTED_BODY = Verdict(Action.FAILED, Certainty.REJECTED, destination=False)
REJECTED_NOW = Verdict(Action.RETRY, Certainty.REJECTED, destination=False)
REJECTED_HERE = Verdict(Action.RETRY, Certainty.REJECTED, destination=True)
FAILED_THERE = Verdict(Action.RETRY, Certainty.UNKNOWN, destination=False)

EXPECTED = {
    **dict.fromkeys(range(100, 200), FAILED_THERE),
    **dict.fromkeys(range(200, 300), Verdict(Action.DELIVERED, None, destination=False)),
    **dict.fromkeys(range(300, 400), REJECTED_HERE),
    **dict.fromkeys(range(400, 500), REJECTED_BODY),
    **dict.fromkeys([401, 403, 404, 405, 407, 410], REJECTED_HERE),
    **dict.fromkeys([408, 425, 429], REJECTED_NOW),
    **dict.fromkeys(range(500, 1000), FAILED_THERE),
}


@pytest.mark.parametrize("status", range(100, 1000))
def test_every_status_has_one_verdict(status: int) -> None:
    """Each status from 100 to 999 is judged as HTTP defines it."""
    assert judge(status) == EXPECTED[status]


@pytest.mark.parametrize("status", [None, -1, 0, 99, 1000, 10**9])
def test_what_is_no_status_is_no_answer(status: int | None) -> None:
    """No answer, or one without a status, may have been processed, and is sent again."""
    assert judge(status) is NO_ANSWER


def test_the_table_names_every_status_once_or_narrows_it() -> None:
    """A status that two rules name is decided by the earlier one, and both lines say why."""
    named = [status for rule in TABLE for each in rule.statuses for status in each]
    assert set(named) == set(range(100, 1000))
    assert len(named) - len(set(named)) == len([401, 403, 404, 405, 407, 410, 408, 425, 429])
    assert all(rule.why for rule in TABLE)


def test_the_table_can_be_printed() -> None:
    """A rule shows its statuses as people write them."""
    assert [rule.text for rule in TABLE] == [
        "200-299",
        "300-399",
        "408, 425, 429",
        "401, 403, 404, 405, 407, 410",
        "400-499",
        "500-599",
        "100-199, 600-999",
    ]
    assert Rule((range(401, 403),), NO_ANSWER, "a short range").text == "401-402"


def test_a_policy_may_have_a_table_of_its_own() -> None:
    """Its first rule that names a status decides; what it does not name is no answer of HTTP's."""
    rejected = Verdict(Action.FAILED, Certainty.REJECTED)
    own = replace(Policy.of(Settings()), table=(Rule((range(404, 405),), rejected, "gone for good"), TABLE[0]))
    assert own.judge(404) == rejected
    assert own.judge(201).action is Action.DELIVERED
    assert own.judge(500) is own.judge(400) is NO_ANSWER


def test_what_delivers_is_known_beforehand() -> None:
    """Each status that delivers has one outcome, for all messages; no other status has one."""
    policy = Policy.of(Settings())
    assert policy.delivered() == {status: Delivered(status) for status in range(200, 300)}
    taken = Rule((range(409, 410),), Verdict(Action.DELIVERED, None), "it was there already")
    assert replace(policy, table=(taken, *TABLE)).delivered()[409] == Delivered(409)
    assert replace(policy, table=()).delivered() == {}
    assert [*STATUSES] == [*range(100, 1000)]
