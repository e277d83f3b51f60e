"""The streak: different messages, in a row."""

from __future__ import annotations

from outbox.clock import lease_clock
from outbox.worker.streak import Streak


def test_different_messages_make_a_streak() -> None:
    """One message, however often it fails, is its own matter."""
    streak = Streak(3)
    assert [streak.add(each, lease_clock(), 0) for each in "aaaaabbb"] == [False] * 8
    assert streak.add("c", lease_clock(), 0)


def test_what_works_ends_it() -> None:
    """Only failures in a row count."""
    streak = Streak(2)
    streak.add("a", lease_clock(), 0)
    streak.end()
    assert not streak.add("b", lease_clock(), 0)
    assert streak.add("a", lease_clock(), 0)


def test_what_was_sent_before_something_worked_is_no_part_of_it() -> None:
    """Failures that come back later than the successes that they were sent with count nothing."""
    streak, sent = Streak(2), lease_clock()
    streak.end()
    assert not any(streak.add(each, sent, 0) for each in "abc")
    assert len(streak) == 0
    assert [streak.add(each, lease_clock(), 0) for each in "abc"] == [False, True, True]


def test_it_is_as_long_as_what_is_in_flight() -> None:
    """Failures that overtake others make none; once no more are out than have failed, they do."""
    streak = Streak(3)
    assert not any(streak.add(each, lease_clock(), 8) for each in "abcdefg")
    assert streak.add("h", lease_clock(), 8)
    streak.end()
    assert [streak.add(each, lease_clock(), others) for each, others in zip("abcde", (6, 5, 4, 4, 3), strict=True)] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_it_can_be_switched_off() -> None:
    """With zero no number of messages is enough."""
    streak = Streak(0)
    assert not any(streak.add(str(number), lease_clock(), 0) for number in range(1000))


def test_it_knows_its_beginning() -> None:
    """It has been going on since the first of its attempts began, whichever of them ended first."""
    now = lease_clock()
    streak = Streak(3)
    assert streak.seconds == 0.0
    streak.add("a", now - 5, 0)
    streak.add("b", now - 30, 0)
    assert 30 <= streak.seconds < 40
    streak.end()
    assert streak.seconds == 0.0
