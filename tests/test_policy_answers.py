"""Answers that the configuration reads otherwise than HTTP defines them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.errors import ConfigurationError
from outbox.message import Certainty
from outbox.policy import STATUSES, Action, Policy, Verdict
from outbox.settings import Meaning, Settings, load
from outbox.settings.answers import MEANINGS, answers, show_answers

BUILT_IN = Policy.of(Settings())


def policy(text: str) -> Policy:
    return Policy.of(load(environ={"OUTBOX_ANSWERS": text}).settings)


def test_each_word_means_something() -> None:
    """It is delivered, sent again, given up at once, or the destination is wrong; the rest stays as it was."""
    own = policy("409=delivered, 404=failed, 400=retry, 451 = Refused")
    assert own.judge(409) == Verdict(Action.DELIVERED, None)
    assert own.judge(404) == Verdict(Action.FAILED, Certainty.REJECTED)
    assert own.judge(400) == Verdict(Action.RETRY, Certainty.REJECTED)
    assert own.judge(451) == Verdict(Action.RETRY, Certainty.REJECTED, destination=True)
    untouched = set(STATUSES) - {409, 404, 400, 451}
    assert all(own.judge(status) == BUILT_IN.judge(status) for status in untouched)


@pytest.mark.parametrize("word", ["retry", "failed", "refused"])
@pytest.mark.parametrize("status", [202, 302, 422, 429, 500, 503, 600])
def test_another_meaning_is_no_other_knowledge(status: int, word: str) -> None:
    """Whether the event may have been processed is the status's own: `park` goes by it. A 2xx may have been."""
    known = BUILT_IN.judge(status).certainty or Certainty.UNKNOWN
    assert policy(f"{status}={word}").judge(status).certainty is known


def test_a_range_keeps_what_each_of_its_statuses_tells() -> None:
    """Statuses that tell different things of the event become several lines of the table."""
    own = policy("290-510=retry")
    assert {own.judge(status).action for status in range(290, 511)} == {Action.RETRY}
    lines = own.table[: -len(BUILT_IN.table)]
    assert [(rule.text, rule.verdict.certainty) for rule in lines] == [
        ("290-299", Certainty.UNKNOWN),
        ("300-499", Certainty.REJECTED),
        ("500-510", Certainty.UNKNOWN),
    ]


def test_the_first_that_names_a_status_decides() -> None:
    """As everywhere in the table."""
    own = policy("503=failed,500-599=refused")
    assert own.judge(503).action is Action.FAILED
    assert own.judge(504).destination


def test_they_go_before_a_policy_of_ones_own() -> None:
    """What it does not name keeps the policy's meaning."""
    assert replace(policy("404=failed"), table=()).judge(404).action is Action.RETRY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("404", "expected statuses and their meaning"),
        ("404=", "expected statuses and their meaning"),
        ("4xx=failed", "expected statuses and their meaning"),
        ("099=failed", "expected statuses and their meaning"),
        ("\u0664\u0660\u0664=failed", "expected statuses and their meaning"),
        ("404=failed,", "expected statuses and their meaning"),
        ("404=ok", "expected one of delivered, retry, failed, refused"),
        ("529-520=retry", "write the smaller one first"),
    ],
)
def test_what_is_refused(text: str, expected: str) -> None:
    """With what was expected and an example."""
    with pytest.raises(ConfigurationError, match=expected) as caught:
        load(environ={"OUTBOX_ANSWERS": text})
    assert "OUTBOX_ANSWERS=409=delivered" in caught.value.hint


meanings = st.builds(
    lambda first, more, word: Meaning(first, min(first + more, 999), word),
    st.integers(100, 999),
    st.integers(0, 400),
    st.sampled_from(MEANINGS),
)


@given(st.lists(meanings, min_size=1, max_size=6).map(tuple))
def test_any_of_them_gives_a_whole_table(chosen: tuple[Meaning, ...]) -> None:
    """They read back as they are shown, and every status has the meaning that the first one gives it."""
    assert answers(show_answers(chosen)) == chosen
    own = Policy.of(Settings(answers=chosen))
    for status in STATUSES:
        word = next((each.word for each in chosen if each.first <= status <= each.last), None)
        verdict = own.judge(status)
        if word is None:
            assert verdict == BUILT_IN.judge(status)
        else:
            assert (verdict.action, verdict.destination) == _EXPECTED[word]


_EXPECTED = {
    "delivered": (Action.DELIVERED, False),
    "retry": (Action.RETRY, False),
    "failed": (Action.FAILED, False),
    "refused": (Action.RETRY, True),
}
