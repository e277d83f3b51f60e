"""A worker's memory over many events: it must not grow with them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from bars.bar import Figure
from bars.rows import fill
from bars.working import working
from bench.processes import resident, resident_peak
from bench.sinks import Cheap
from support.databases import Database

CHUNK = 100_000
_STALLED_SECONDS = 120.0


def over(
    database: Database,
    folder: Path,
    body: str,
    sink: Cheap,
    *,
    events: int,
    concurrency: int,
    settings: Mapping[str, Any],
) -> Iterator[tuple[int, float]]:
    """Deliver the events, and give every now and then how many are delivered and the MiB in memory; last, the peak."""
    for first in range(1, events + 1, CHUNK):
        fill(database, min(CHUNK, events - first + 1), first=first, body=body)
    before, at = sink.count(), time.monotonic()
    arrived = 0
    with working(database, folder, sink.url, concurrency=concurrency, **settings) as (worker,):
        while arrived < events:
            time.sleep(0.2)
            now = sink.count() - before
            at = time.monotonic() if now > arrived else at
            if time.monotonic() - at > _STALLED_SECONDS:
                msg = f"nothing has arrived for {_STALLED_SECONDS:g} s, after {now:,} events"
                raise TimeoutError(msg)
            arrived = now
            yield arrived, resident(worker.process.pid)
        yield arrived, resident_peak(worker.process.pid)


def figures(kind: str, samples: list[tuple[int, float]], events: int, concurrency: int) -> Iterator[Figure]:
    """The peak, and the last fifth of the events beside the second."""
    what = f"{kind}: {events:,} events, concurrency {concurrency}"
    yield Figure(f"{what}, resident memory at most", max(size for _, size in samples), most=120, unit=" MiB")
    second = _between(samples, events * 0.2, events * 0.4)
    last = _between(samples, events * 0.8, events)
    if second and last:  # a short run may end between two looks
        yield Figure(f"{what}, last fifth beside the second", mean(last) / mean(second), most=1.1, unit=" x")


def _between(samples: list[tuple[int, float]], above: float, to: float) -> list[float]:
    return [size for arrived, size in samples[:-1] if above < arrived <= to]
