"""A destination that hangs beside one that works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bars.bar import Bar, Figure
from bars.rows import analyse, empty, fill
from bars.sink import Sink, sink
from bars.working import working
from outbox.testing import fake_server
from support.databases import Database

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # noqa: S105 - guards nothing
BODY = '{"event": {"name": "thing_done"}}'


def measure(database: Database, folder: Path, *, events: int = 40_000, rounds: int = 3) -> Iterator[Figure]:
    """Compare a worker's events a second at the healthy one with nothing and with a backlog at the other; by turns."""
    alone, beside = [], []
    with sink() as healthy, fake_server("hang", keep=0) as hanging:
        for _ in range(rounds):
            alone.append(_rate(database, folder, healthy, hanging.url, events, 0))
            beside.append(_rate(database, folder, healthy, hanging.url, events, 20_000))
    yield Figure("a second at the healthy destination alone", median(alone))
    share = median(beside) / median(alone) * 100
    yield Figure("of that beside one that hangs", share, least=90, unit=" %", timed=True)


def _rate(database: Database, folder: Path, healthy: Sink, hanging: str, events: int, stuck: int) -> float:
    empty(database)
    fill(database, events, body=BODY)
    if stuck:
        fill(database, stuck, first=events + 1, destination="crm", body="{}")
    analyse(database)
    healthy.clear()
    crm: dict[str, Any] = {"destination_crm_url": hanging, "destination_crm_secret": SECRET}
    with working(database, folder, healthy.url, **crm):
        healthy.wait_for(events)
    return healthy.rate


BAR = Bar("hanging", measure, short={"events": 500, "rounds": 1})
