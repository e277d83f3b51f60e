"""The streak: different messages, in a row."""

from __future__ import annotations

from outbox.clock import lease_clock
from outbox.worker.streak import Streak


def test_different_messages_make_a_streak() -> None:
    """One message, however often it fails, is its own matter."""
    streak = Streak(3)
    assert [streak.add(each, 0.0) for each in "aaaaabbb"] == [False] * 8
    assert streak.add("c", 0.0)


def test_what_works_ends_it() -> None:
    """Only failures in a row count."""
    streak = Streak(2)
    streak.add("a", 0.0)
    streak.end()
    assert not streak.add("b", 0.0)
    assert streak.add("a", 0.0)


def test_it_can_be_switched_off() -> None:
    """With zero no number of messages is enough."""
    streak = Streak(0)
    assert not any(streak.add(str(number), 0.0) for number in range(1000))


def test_it_knows_its_beginning() -> None:
    """It has been going on since the first of its attempts began, whichever of them ended first."""
    now = lease_clock()
    streak = Streak(3)
    assert streak.seconds == 0.0
    streak.add("a", now - 5)
    streak.add("b", now - 30)
    assert 30 <= streak.seconds < 40
    streak.end()
    assert streak.seconds == 0.0
