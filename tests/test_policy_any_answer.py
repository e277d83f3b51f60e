"""Whatever status, `Retry-After` or error text comes in: one outcome, with a wait that can be used and a record that can be kept.

`make fuzz-answers` searches long.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outbox.delivery.causes import CONNECT, explain
from outbox.message import Attempt, Certainty, Delivered, Failed, FailureReason, Retry
from outbox.policy import ERROR_BYTES, LONGEST_WAIT, STATUSES, Action, Policy, Weight, clean, retry_after, weigh
from outbox.settings import Meaning, Settings
from outbox.settings.answers import MEANINGS
from support.fuzzing import rounds
from support.sending import message

LONG = pytest.mark.timeout(1800)

any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=30)
dates = st.builds(
    "{}{}{:02}{}{}{}{:02}:{:02}:{:02} {}".format,
    st.sampled_from(["Sun", "Mon", "Sunday", "Tuesday", "sun", ""]),
    st.sampled_from([", ", " ", ","]),
    st.integers(0, 32),
    st.sampled_from([" Nov ", "-Nov-", " Feb ", " Xxx ", " "]),
    st.sampled_from(["1994", "94", "2094", "0000", "9999", "19945"]),
    st.sampled_from([" ", "  ", ""]),
    st.integers(0, 25),
    st.integers(0, 61),
    st.integers(0, 61),
    st.sampled_from(["GMT", "UTC", "1994", ""]),
)
wishes = (
    st.none()
    | any_text
    | dates
    | st.integers(-10, 10**12).map(str)
    | st.integers(0, 10**400).map(str)
    | st.floats().map(str)
)
meanings = st.lists(
    st.builds(lambda first, more, word: Meaning(first, min(first + more, 999), word), st.integers(100, 999),
              st.integers(0, 99), st.sampled_from(MEANINGS)),
    max_size=2,
)  # fmt: skip


@LONG
@pytest.mark.parametrize("examples", rounds(300, share=0.25))
def test_any_answer_is_judged(examples: int) -> None:
    """Under any table, for any history: a wait that is none too long, a pause only where it was asked for, a weight."""

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.none() | st.integers(-1, 1100), wishes, meanings, st.integers(0, 20), st.sampled_from(["retry", "park"]))
    def search(status: int | None, wish: str | None, own: list[Meaning], made: int, on_unknown: str) -> None:
        policy = Policy.of(Settings(answers=tuple(own)))
        seconds = retry_after(wish, datetime.now(UTC))
        assert seconds is None or 0 <= seconds < 1e12
        verdict = policy.judge(status)
        if verdict.action is Action.DELIVERED:
            assert status is not None
            assert status in STATUSES
            assert policy.delivered()[status] == Delivered(status)
            return
        assert verdict.certainty is not None
        attempt = Attempt(0.0, 0.1, 1, verdict.certainty, "it failed", status)
        outcome = policy.outcome(message(attempts=made, on_unknown=on_unknown), attempt, seconds)
        if outcome.pause is not None:
            assert status in {429, 503}
            assert seconds is not None
            assert 0 < outcome.pause <= min(seconds, policy.retry_after_max)
        if isinstance(outcome, Retry):
            assert outcome.charged
            assert 4 <= outcome.delay <= LONGEST_WAIT
            assert verdict.action is Action.RETRY
            assert made < 17
        else:
            assert (outcome.reason is FailureReason.REJECTED) == (verdict.action is Action.FAILED)
        weight = weigh(outcome, policy)
        assert (weight is Weight.REFUSED) == verdict.destination
        assert (weight is Weight.WORKS) == (verdict.action is Action.FAILED)

    search()


causes = st.sampled_from([
    CONNECT, "error sending request for url (http://127.0.0.1/?key=hunter2)", "request or response body error", "dns error",
    "operation timed out", "deadline has elapsed", "tcp connect error", "Connection refused (os error 111)",
    "invalid peer certificate: UnknownIssuer", "tls handshake eof", "connection closed before message completed",
])  # fmt: skip


@LONG
@pytest.mark.parametrize("examples", rounds(300, share=0.25))
def test_any_error_is_explained(examples: int) -> None:
    """Whatever the HTTP client says: never left only where it names the connect, and a record that fits."""

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(causes | any_text, max_size=5))
    def search(chain: list[str]) -> None:
        failed = explain(chain, "http://127.0.0.1/?key=hunter2", connect_timeout=3.0, try_timeout=10.0)
        assert failed.certainty is (Certainty.NOT_SENT if CONNECT in chain else Certainty.UNKNOWN)
        error = clean(failed.error, ERROR_BYTES)
        assert error
        assert len(error.encode()) <= ERROR_BYTES
        outcome = Policy.of(Settings()).outcome(message(), Attempt(0.0, 0.1, 1, failed.certainty, error))
        assert not isinstance(outcome, Failed)

    search()
