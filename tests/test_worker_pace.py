"""How often the worker asks, and how much it holds ready."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from outbox.worker.pace import Prefetch, Waits, backoff, polling


@pytest.mark.parametrize(
    ("begin", "planned"),
    [
        (lambda: polling(0.15), [0.01 * 1.3**count for count in range(11)] + [0.15, 0.15]),
        (backoff, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 4.0, 4.0]),
    ],
)
def test_waits_grow_to_their_longest(begin: Callable[[], Waits], planned: list[float]) -> None:
    """Each wait is longer than the one before, up to the longest, and varies by at most 20 %."""
    runs = [[waits.next() for _ in planned] for waits in (begin() for _ in range(300))]
    for wanted, found in zip(planned, zip(*runs, strict=True), strict=True):
        assert wanted * 0.8 <= min(found) < wanted * 0.85
        assert wanted * 1.15 < max(found) <= wanted * 1.2


def test_waits_begin_anew_when_something_happens() -> None:
    """After work the next wait is the shortest again."""
    waits = Waits(1.0, 100.0, 10.0)
    assert [waits.next() for _ in range(4)][-1] >= 80
    waits.restart()
    assert 0.8 <= waits.next() <= 1.2
    assert 8 <= waits.next() <= 12


def test_what_is_held_ready_follows_what_is_sent() -> None:
    """A fifth of a second's sending, where the rate is the middle between the last measure and those before."""
    prefetch = Prefetch(10)
    sizes = []
    for sent, seconds in [(1000, 1.0), (1000, 2.0), (5, 0.0), (0, 1.0), (0, 100.0), (0, 1.0), (0, 1.0)]:
        prefetch.observe(sent, seconds)
        sizes.append(prefetch.size)
    assert sizes == [100, 100, 100, 50, 25, 12, 10]
    slow = Prefetch(1)
    slow.observe(99, 1.0)
    assert slow.size == 9


@pytest.mark.parametrize(("concurrency", "idle", "busy"), [(1, 1, 2000), (500, 500, 2000), (3000, 3000, 3000)])
def test_what_is_held_ready_has_bounds(concurrency: int, idle: int, busy: int) -> None:
    """At least one message for each sender, and otherwise no more than 2000."""
    prefetch = Prefetch(concurrency)
    assert prefetch.size == idle
    prefetch.observe(10**6, 1.0)
    assert prefetch.size == busy
