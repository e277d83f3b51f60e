"""A key with a backlog that takes hours, sent one at a time, does not slow down what has no key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bars.bar import Bar, Figure
from bars.rows import analyse, empty, fill
from bars.sink import Sink, sink
from bars.working import working
from support.databases import Database

UNKEYED = '{"event": {"name": "unkeyed"}}'
KEYED = '{"event": {"name": "keyed"}}'


def measure(
    database: Database, folder: Path, *, keyed: int = 200_000, events: int = 40_000, rounds: int = 3
) -> Iterator[Figure]:
    """Compare a worker's events a second with the backlog and without it; by turns."""
    without, beside = [], []
    with sink(marker='"unkeyed"') as destination:
        for _ in range(rounds):
            without.append(_rate(database, folder, destination, events, 0))
            beside.append(_rate(database, folder, destination, events, keyed))
    yield Figure("unkeyed a second without the backlog", median(without))
    speed = median(beside) / median(without) * 100
    yield Figure(f"of that beside {keyed:,} of one key", speed, least=90, unit=" %", timed=True)


def _rate(database: Database, folder: Path, destination: Sink, events: int, keyed: int) -> float:
    empty(database)
    fill(database, events, body=UNKEYED)
    if keyed:
        fill(database, keyed, first=events + 1, keys=1, body=KEYED)
    analyse(database)
    destination.clear()
    with working(database, folder, destination.url):
        destination.wait_for(events)
    return destination.rate


BAR = Bar("keyed-backlog", measure, short={"keyed": 20_000, "events": 2000, "rounds": 1})
