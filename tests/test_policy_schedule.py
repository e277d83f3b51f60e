"""When a message is sent again, and when it is given up."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import (
    RetryCallState,
    stop_after_attempt,
    stop_after_delay,
    stop_never,
    wait_chain,
    wait_exponential,
    wait_fixed,
    wait_random,
)

from outbox.errors import ConfigurationError
from outbox.message import Attempt, Certainty, Failed, FailureReason, Retry
from outbox.policy import LONGEST_WAIT, Jittered, Policy
from outbox.settings import Settings
from support.sending import message

DEFAULT = Policy.of(Settings())
SCHEDULE = [5, 30, 300, 1800, 7200, 18000, 36000]


def attempt(certainty: Certainty = Certainty.UNKNOWN, status: int | None = None) -> Attempt:
    return Attempt(0.0, 0.1, 1, certainty, "it failed", status)


def delay(outcome: Retry | Failed) -> float:
    assert isinstance(outcome, Retry)
    assert outcome.charged
    return outcome.delay


@pytest.mark.parametrize("made", range(1, 18))
def test_the_default_schedule(made: int) -> None:
    """Waits follow the documented list, the last one repeats, and each varies by at most 20 %."""
    planned = SCHEDULE[min(made, len(SCHEDULE)) - 1]
    delays = [delay(DEFAULT.outcome(message(attempts=made - 1), attempt())) for _ in range(300)]
    assert planned * 0.8 <= min(delays) < planned * 0.85
    assert planned * 1.15 < max(delays) <= planned * 1.2


def test_the_eighteenth_attempt_is_the_last() -> None:
    """A message whose charged attempts reach the maximum is failed as exhausted, whatever was wrong."""
    for certainty in Certainty:
        assert isinstance(DEFAULT.outcome(message(attempts=16), attempt(certainty)), Retry)
        assert DEFAULT.outcome(message(attempts=17), attempt(certainty)) == Failed(
            FailureReason.EXHAUSTED, attempt(certainty)
        )


def test_the_horizon_is_about_five_days() -> None:
    """The default schedule gives a destination about five days."""
    planned = sum(SCHEDULE) + SCHEDULE[-1] * (17 - len(SCHEDULE))
    assert 4.5 < planned / 86400 < 5.5
    assert sum(DEFAULT.backoff(made) for made in range(1, 18)) == pytest.approx(planned, rel=0.2)


def test_a_refused_body_is_failed_at_once() -> None:
    """400 judges this body: no second attempt, although there are many left."""
    refused = attempt(Certainty.REJECTED, 400)
    assert DEFAULT.outcome(message(), refused) == Failed(FailureReason.REJECTED, refused)
    assert DEFAULT.outcome(message(on_unknown="park"), refused) == Failed(FailureReason.REJECTED, refused)


def test_park_sets_aside_what_may_have_been_processed() -> None:
    """With `park` a doubt fails the message; without a doubt it is sent again."""
    parked = message(on_unknown="park")
    assert DEFAULT.outcome(parked, attempt()) == Failed(FailureReason.UNKNOWN, attempt())
    assert isinstance(DEFAULT.outcome(parked, attempt(Certainty.NOT_SENT)), Retry)
    assert isinstance(DEFAULT.outcome(parked, attempt(Certainty.REJECTED, 429)), Retry)


@pytest.mark.parametrize(
    ("wish", "earliest", "latest"), [(None, 4, 6), (0.0, 4, 6), (100.0, 100, 100), (9e9, 3600, 3600)]
)
def test_retry_after_lengthens_the_wait_up_to_a_cap(wish: float | None, earliest: float, latest: float) -> None:
    """The destination's wish counts if it is longer than the backoff, and never beyond the maximum."""
    assert earliest <= delay(DEFAULT.outcome(message(), attempt(), wish)) <= latest


def test_without_a_wish_the_wait_is_the_schedules() -> None:
    """A schedule may send again at once; only the destination's wish makes it later."""
    policy = Policy(wait=wait_fixed(0), stop=stop_never, retry_after_max=60.0)
    assert [delay(policy.outcome(message(), attempt(), wish)) for wish in (None, 0.0, 0.5)] == [0.0, 0.0, 0.5]


def test_the_cap_on_retry_after_does_not_shorten_the_backoff() -> None:
    """A capped wish never brings an attempt forward."""
    assert delay(DEFAULT.outcome(message(attempts=6), attempt(), 9e9)) >= 36000 * 0.8


def test_settings_make_the_policy() -> None:
    """Schedule and maximum come from the settings."""
    policy = Policy.of(Settings(retry_schedule=(1.0, 2.0), max_attempts=3))
    assert 0.8 <= policy.backoff(1) <= 1.2
    assert 1.6 <= policy.backoff(2) <= 2.4
    assert 1.6 <= policy.backoff(9) <= 2.4
    assert isinstance(policy.outcome(message(attempts=1), attempt()), Retry)
    assert isinstance(policy.outcome(message(attempts=2), attempt()), Failed)


def test_an_empty_schedule_is_refused() -> None:
    """A policy without a wait is a mistake, and says so."""
    with pytest.raises(ConfigurationError, match=r"^OUTBOX_RETRY_SCHEDULE is empty") as caught:
        Policy.of(Settings(retry_schedule=()))
    assert caught.value.hint == "Write the waits between attempts, such as 5s,30s,5m."


def test_any_of_tenacitys_objects_will_do() -> None:
    """Waits and stops combine as tenacity combines them, plain functions included."""
    policy = Policy(
        wait=Jittered(wait_exponential(multiplier=10, max=1000), share=0.5) + wait_random(1, 2),
        stop=lambda state: state.attempt_number == 3 or (stop_after_attempt(5) | stop_never)(state),
        retry_after_max=60.0,
    )
    assert all(6 <= policy.backoff(1) <= 17 for _ in range(50))
    assert all(501 <= policy.backoff(50) <= 1502 for _ in range(50))
    ended = [isinstance(policy.outcome(message(attempts=made - 1), attempt()), Failed) for made in range(1, 7)]
    assert ended == [False, False, True, False, True, True]


@pytest.mark.parametrize("wild", [math.nan, math.inf, 1e300, -1.0, -math.inf])
def test_a_wild_wait_is_bounded(wild: float) -> None:
    """Whatever a custom wait returns, the delay is a number that a database's clock can add."""
    policy = Policy(wait=lambda _state: wild, stop=stop_never, retry_after_max=60.0)
    assert policy.backoff(1) == (0.0 if wild < 0 else LONGEST_WAIT)


def test_an_exponential_wait_without_a_cap_stays_finite() -> None:
    """An uncapped wait of tenacity's reaches 146 billion years; ours ends at its bound."""
    policy = Policy(wait=wait_exponential(), stop=stop_never, retry_after_max=60.0)
    assert policy.backoff(5000) == LONGEST_WAIT == timedelta(days=30).total_seconds()


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_of_a_busy_destination_asks_for_a_pause(status: int) -> None:
    """The pause does the waiting, as long as was asked for and allowed; the message's own wait is the schedule's."""
    busy = attempt(Certainty.REJECTED, status)
    for wish, pause in ((None, None), (0.0, None), (0.5, 0.5), (100.0, 100.0), (9e9, 3600.0)):
        outcome = DEFAULT.outcome(message(), busy, wish)
        assert 4 <= delay(outcome) <= 6
        assert outcome.pause == pause


@pytest.mark.parametrize("status", [None, 301, 404, 408, 425, 500, 502, 504])
def test_retry_after_of_another_answer_is_the_messages_own(status: int | None) -> None:
    """Only 429 and 503 speak of the whole destination."""
    outcome = DEFAULT.outcome(message(), attempt(Certainty.REJECTED, status), 100.0)
    assert delay(outcome) == 100
    assert outcome.pause is None


def test_a_message_that_ends_may_still_ask_for_a_pause() -> None:
    """Parked after 503, or at the end of its schedule: the others wait as it was asked."""
    busy = attempt(Certainty.UNKNOWN, 503)
    parked = DEFAULT.outcome(message(on_unknown="park"), busy, 7.0)
    assert parked == Failed(FailureReason.UNKNOWN, busy, 7.0)
    assert DEFAULT.outcome(message(attempts=17), busy, 7.0) == Failed(FailureReason.EXHAUSTED, busy, 7.0)
    never = replace(DEFAULT, retry_after_max=0.0)
    assert never.outcome(message(), busy, 7.0).pause is None


@given(st.integers(0, 10**6), st.none() | st.floats(0, allow_nan=False), st.sampled_from(Certainty))
def test_every_delay_is_usable(attempts: int, wish: float | None, certainty: Certainty) -> None:
    """No history and no wish leads to a delay that is negative, endless or not a number."""
    outcome = Policy(DEFAULT.wait, stop_never, 3600.0).outcome(message(attempts=attempts), attempt(certainty), wish)
    assert 4 <= delay(outcome) <= LONGEST_WAIT


def test_objects_that_need_more_than_the_number_are_refused() -> None:
    """A row remembers how many attempts there were, not how long a call has run: `stop_after_delay` cannot work."""
    with pytest.raises(ConfigurationError, match="stop_after_delay cannot decide by the number") as caught:
        Policy(wait=wait_fixed(1), stop=stop_after_delay(60), retry_after_max=60.0)
    assert caught.value.hint == "Use one that can, such as wait_chain or stop_after_attempt."

    def by_exception(state: RetryCallState) -> float:
        assert state.outcome is not None
        return 1.0

    with pytest.raises(ConfigurationError, match="function cannot decide"):
        Policy(wait=by_exception, stop=stop_never, retry_after_max=60.0)
    assert Policy(wait=wait_chain(wait_fixed(1)), stop=stop_never, retry_after_max=60.0).backoff(3) == 1
