"""One key alone runs at the destination's speed: one message after the other, a settle and a claim between them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import uvloop
from pyreqwest.client import ClientBuilder

from bars.bar import Bar, Figure
from bars.rows import empty, fill
from bars.sink import Sink, sink
from bars.working import working
from support.databases import Database

BODY = '{"event": {"name": "thing_done"}}'


def measure(
    database: Database,
    folder: Path,
    *,
    seconds: float = 20.0,
    rounds: int = 3,
    delays: tuple[float, ...] = (0.02, 0.002),
) -> Iterator[Figure]:
    """Compare with bare POSTs, one after the other, of one HTTP client; by turns."""
    for delay in delays:
        events = int(seconds / (delay + 0.005))
        with sink(delay=delay) as destination:
            alone, keyed = [], []
            for _ in range(rounds):
                alone.append(_post(destination, events))
                keyed.append(_deliver(database, folder, destination, events))
        what = f"of 1 / round trip, {1000 / median(alone):.1f} ms"
        yield Figure(what, median(keyed) / median(alone) * 100, least=80, unit=" %", timed=True)


def _deliver(database: Database, folder: Path, destination: Sink, events: int) -> float:
    """Messages a second of one key."""
    empty(database)
    fill(database, events, keys=1, body=BODY)
    destination.clear()
    with working(database, folder, destination.url):
        destination.wait_for(events)
    return destination.rate


def _post(destination: Sink, events: int) -> float:
    """POSTs a second without an outbox."""
    destination.clear()
    uvloop.run(_post_all(destination.url, events))
    return destination.rate


async def _post_all(url: str, events: int) -> None:
    async with ClientBuilder().http1_only().no_proxy().build() as client:
        for _ in range(events):
            async with client.post(url).headers({"Content-Type": "application/json"}).body_text(BODY).build_streamed():
                await asyncio.sleep(0)


BAR = Bar("one-key", measure, short={"seconds": 0.5, "rounds": 1, "delays": (0.02,)})
