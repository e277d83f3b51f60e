"""What the whole fleet heeds: a rate, and a Retry-After."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from bars.bar import Bar, Figure
from bars.rows import empty, fill
from bars.working import working
from outbox.testing import FakeServer, ThreadedFakeServer, fake_server
from support.databases import Database
from support.events import BODIES
from support.waiting import eventually

BODY = (BODIES / "minimal.json").read_text(encoding="utf-8")
RATE = 50
WISH_SECONDS = 5


def measure(
    database: Database, folder: Path, *, seconds: float = 30.0, workers: int = 4, wishes: int = 5
) -> Iterator[Figure]:
    """Send at a rate, then to a destination that asks for a pause now and then."""
    with fake_server("delay=5ms..30ms") as destination:
        yield from _rate(database, folder, destination, seconds, workers)
    with fake_server("delay=5ms..30ms") as destination:
        yield from _wishes(database, folder, destination, wishes, workers)


def _rate(
    database: Database, folder: Path, destination: ThreadedFakeServer, seconds: float, workers: int
) -> Iterator[Figure]:
    events = int(RATE * seconds)
    fill(database, events, body=BODY)
    with working(database, folder, destination.url, workers=workers, rate=f"{RATE}/s"):
        eventually(lambda: len(destination.accepted) >= events, timeout=seconds * 3 + 30, interval=0.1)
    arrivals = [each.monotonic for each in destination.received]
    what = f"rate {RATE}/s, {workers} workers, {events:,} events: most in any second"
    yield Figure(what, most_within(arrivals, 1.0), most=RATE * 1.1)
    yield Figure("on average", (events - 1) / (arrivals[-1] - arrivals[0]), least=RATE * 0.9, unit="/s", timed=True)


def _wishes(
    database: Database, folder: Path, destination: ThreadedFakeServer, wishes: int, workers: int
) -> Iterator[Figure]:
    """A POST that began before the pause was known arrives at most a second after the answer that asked for it."""
    empty(database)
    fill(database, 100_000, body=BODY)
    late, early = 0.0, list[float]()
    with working(database, folder, destination.url, workers=workers):
        for _ in range(wishes):
            destination.wait_for(destination.count + 500, timeout=60)
            destination.script = f"429 retry-after={WISH_SECONDS} x1, delay=5ms..30ms"
            eventually(lambda: destination.answers["429"] > len(early), timeout=30, interval=0.01)
            asked = next(each.monotonic for each in reversed(destination.received) if each.answer == "429")
            destination.wait_for(partial(_is_past, asked + WISH_SECONDS), timeout=60)
            arrivals = [each.monotonic for each in destination.received]
            place = bisect_left(arrivals, asked + WISH_SECONDS * 0.9)
            late = max(late, arrivals[place - 1] - asked)
            early.append(arrivals[place] - asked)
    yield Figure(f"Retry-After: {WISH_SECONDS}, {wishes} times: last POST after the answer", late, most=1.0, unit=" s")
    yield Figure("first POST after the pause began", min(early), least=WISH_SECONDS, unit=" s")


def _is_past(moment: float, server: FakeServer) -> bool:
    return server.received[-1].monotonic > moment


def most_within(moments: Sequence[float], seconds: float) -> int:
    """Most of the sorted moments that any span of so many seconds holds."""
    return max((bisect_left(moments, at + seconds) - place for place, at in enumerate(moments)), default=0)


BAR = Bar("pace", measure, short={"seconds": 3.0, "workers": 2, "wishes": 1})
