"""The pulse: it beats while every part of a worker comes round, and for no less."""

from __future__ import annotations

import pytest

from outbox.worker import pulse as module
from outbox.worker.pulse import Pulse


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the list that `_pulse` fills; no time must pass between two beats."""
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.0)
    return []


def _pulse(beats: list[float], *parts: str) -> Pulse:
    pulse = Pulse()
    pulse.expect(parts)
    pulse.subscribe(lambda: beats.append(pulse.beaten_at))
    return pulse


def test_all_parts_make_a_beat(beats: list[float]) -> None:
    """One that comes round again and again does not stand for another."""
    pulse = _pulse(beats, "crm", "overcentric")
    for _ in range(3):
        pulse.turn("crm")
    assert beats == []
    pulse.turn("overcentric")
    assert len(beats) == 1
    pulse.turn("overcentric")
    assert len(beats) == 1, "crm has not come round since"


def test_a_part_that_has_ended_is_not_waited_for(beats: list[float]) -> None:
    """A draining worker's first destination may be done long before the second."""
    pulse = _pulse(beats, "crm", "overcentric")
    pulse.leave("crm")
    pulse.turn("overcentric")
    assert len(beats) == 1


def test_it_beats_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy worker goes round a hundred times a second; whoever listens is told once."""
    monkeypatch.setattr(module, "BEAT_SECONDS", 3600.0)
    beats: list[float] = []
    pulse = _pulse(beats, "overcentric")
    for _ in range(1000):
        pulse.turn("overcentric")
    assert len(beats) == 1
