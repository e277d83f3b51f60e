"""The meter: what a worker's metrics are made of. Plain numbers, because some of them are counted for each event.

They are written by the event loop and the store's thread, one of them for each number, and read by whoever is asked for them.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from outbox.message import Delivered, Failed, Outcome, Retry
from outbox.store import Settlement

TRY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
DELIVERY_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)
CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)

CALLS = {"claim": "claim", "claim_heads": "claim", "find_work": "look", "settle": "settle"}
"""The store's methods that are measured, and what they are called then."""

_WORDS: dict[type[Outcome], str] = {Delivered: "delivered", Retry: "retry", Failed: "failed"}

# Counted from zero on: of a number that begins at one nobody sees that it has grown.
_EXPECTED = (("delivered", 2), *((word, status) for word in ("retry", "failed") for status in (None, 3, 4, 5)))


class Histogram:
    """How many took how long: a count for each bound, of what took as long at most and longer than the bound before."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        """Seconds, of all together."""

    def take(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


class Meter:
    """Counts attempts, tries, deliveries and calls of the database."""

    def __init__(self, destinations: Iterable[str]) -> None:
        names = [*destinations]
        self.attempts: dict[tuple[str, str, int | None], int] = {
            (name, word, status): 0 for name in names for word, status in _EXPECTED
        }
        """By destination, outcome, and the status' first digit."""
        self.tries = {name: Histogram(TRY_SECONDS) for name in names}
        """What one HTTP request took."""
        self.deliveries = {name: Histogram(DELIVERY_SECONDS) for name in names}
        """From `enqueue` until it was recorded that the destination has taken it."""
        self.calls = {name: Histogram(CALL_SECONDS) for name in sorted({*CALLS.values()})}

    def teller(self, destination: str) -> Callable[[float], None]:
        """What is to be told the seconds of each HTTP request to a destination."""
        return self.tries[destination].take

    def called(self, method: str, seconds: float) -> None:
        """Take in a call of the store's."""
        if method in CALLS:
            self.calls[CALLS[method]].take(seconds)

    def settled(self, group: Iterable[Settlement]) -> None:
        """Take in what has been recorded."""
        attempts, now = self.attempts, time.time()
        for message, outcome in group:
            kind = type(outcome)
            status = outcome.status if kind is Delivered else outcome.attempt.status  # type: ignore[union-attr]
            key = (message.destination, _WORDS[kind], status and status // 100)
            attempts[key] = attempts.get(key, 0) + 1
            if kind is Delivered:
                seconds = now - enqueued_at(message.id)
                self.deliveries[message.destination].take(seconds if seconds > 0 else 0.0)


def enqueued_at(message_id: str) -> float:
    """When an id was made, in seconds since 1970, by the clock of the process that enqueued: a UUIDv7 begins with it."""
    return int(message_id[:8] + message_id[9:13], 16) / 1000
