"""From commit to delivered on an idle system: one event at a time, none of them expected."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import quantiles
from typing import Any

from bars.bar import Figure
from bars.working import working
from bench.child import run
from outbox.testing import fake_server
from support.databases import Database
from support.workers import environment

WOKEN = "postgresql, woken"
P50 = {"sqlite": 10, "postgresql": 120, WOKEN: 10, "mariadb": 120}
P99 = {"sqlite": 50, WOKEN: 50}
"""PostgreSQL without wake-ups is polled as MariaDB is."""


def latencies(database: Database, folder: Path, *, events: int, settings: Mapping[str, Any]) -> list[float]:
    """Give the seconds from each commit's end to the arrival of its POST, as it was committed."""
    with fake_server() as destination, working(database, folder, destination.url, **settings) as (worker,):
        worker.until(" -> ")
        command = [sys.executable, "-m", "bench.committing", "--database", database.url, "--events", str(events)]
        committed: dict[str, float] = run(command, env=environment(database.url, destination.url, **settings))
        destination.wait_for(lambda server: len(server.keys) >= events, timeout=60)
        arrived = {each.key: each.monotonic for each in reversed(destination.received)}
    return [arrived[key] - moment for key, moment in committed.items()]


def figures(kind: str, found: list[float]) -> Iterator[Figure]:
    """The percentiles of a database, or of `WOKEN`."""
    steps = quantiles(found, n=100, method="inclusive")
    what = f"{kind}: commit to delivered, {len(found)} events"
    yield Figure(f"{what}, p50", steps[49] * 1000, most=P50[kind], unit=" ms", timed=True)
    yield Figure(f"{what}, p99", steps[98] * 1000, most=P99.get(kind), unit=" ms", timed=True)
    yield Figure(f"{what}, longest", max(found) * 1000, unit=" ms")
