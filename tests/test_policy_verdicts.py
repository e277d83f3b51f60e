"""What each HTTP status means."""

from __future__ import annotations

import pytest

from outbox.message import Certainty
from outbox.policy import NO_ANSWER, TABLE, Action, Rule, Verdict, judge

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
