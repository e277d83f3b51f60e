"""Workers whose destination takes its time: what they reach once they are at it, and the memory that they need.

A worker that is not bound by its CPU can send concurrency / latency events a second, and two of them twice as many.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bars.bar import Figure
from bars.rows import fill
from bars.sink import Sink, sink
from bars.working import working
from bench.child import run
from bench.compare import FiguresMeanNothing
from bench.processes import resident_peak
from support.databases import Database

DELAY = 0.05
_WARM_SECONDS = 2.0
"""From the first POST until every worker has opened its connections."""


@dataclass(frozen=True)
class Steady:
    """What workers reached together."""

    rate: float
    latency: float
    """Seconds that the destination held a request, on average: what was asked for, and what its timers add."""
    memory: float
    """MiB that the largest worker had in memory at most."""


def steady(
    database: Database, folder: Path, body: str, *, workers: int, concurrency: int, seconds: float,
    settings: Mapping[str, Any],
) -> Steady:  # fmt: skip
    """Let workers send to a destination that answers after 50 ms, and count over a span in the midst of it."""
    backlog = round(workers * concurrency / DELAY * (seconds + 2 * _WARM_SECONDS))
    fill(database, backlog, body=body)
    with (
        sink(delay=DELAY) as destination,
        working(database, folder, destination.url, workers=workers, concurrency=concurrency, **settings) as running,
    ):
        for each in running:
            each.until(" -> ", timeout=30)
        rate, latency = _in_the_midst(destination, backlog, seconds)
        return Steady(rate, latency, max(resident_peak(each.process.pid) for each in running))


def bare(body: Path, *, concurrency: int, seconds: float) -> float:
    """Let the HTTP client alone send there; give its share of concurrency / latency over a span in the midst of it."""
    events = round(concurrency / DELAY * (seconds + 2 * _WARM_SECONDS))
    sizes = ["--events", events, "--concurrency", concurrency]
    with sink(delay=DELAY) as destination, ThreadPoolExecutor(1) as aside:
        command = [sys.executable, "-m", "bench.bare", "--sink", destination.url, "--body", body, *sizes]
        running = aside.submit(run, command)
        rate, latency = _in_the_midst(destination, events, seconds)
        running.result()
    return rate * latency / concurrency


def _in_the_midst(destination: Sink, events: int, seconds: float) -> tuple[float, float]:
    """The requests a second that arrive over a span, and how long each is held; of so many that are sent in all."""
    destination.wait_for(1, timeout=30)
    time.sleep(_WARM_SECONDS)
    began, before, (answered, held) = time.perf_counter(), destination.count, destination.held
    time.sleep(seconds)
    rate = (destination.count - before) / (time.perf_counter() - began)
    answered_since, held_since = destination.held[0] - answered, destination.held[1] - held
    if not answered_since or destination.count >= events:
        msg = f"all {events:,} or none were sent before the end: the rate is not that of {seconds:g} s"
        raise FiguresMeanNothing(msg)
    return rate, held_since / answered_since


def distant(kind: str, found: list[Steady], concurrency: int) -> Iterator[Figure]:
    """What one worker at a high concurrency reached."""
    what = f"{kind}: 50 ms away, concurrency {concurrency}"
    yield Figure(f"{what}, events a second", median(each.rate for each in found), unit="/s")
    yield Figure(f"{what}, the destination's latency", median(each.latency for each in found) * 1000, unit=" ms")
    share = median(each.rate * each.latency for each in found) / concurrency * 100
    yield Figure(f"{what}, of concurrency ÷ latency", share, least=95, unit=" %", timed=True)
    memory = max(each.memory for each in found)
    yield Figure(f"{what}, resident memory at most", memory, most=120, unit=" MiB")


def doubled(kind: str, one: list[Steady], two: list[Steady]) -> Iterator[Figure]:
    """What two workers reached beside one."""
    beside = median(each.rate for each in two) / median(each.rate for each in one)
    yield Figure(
        f"{kind}: two workers beside one, 50 ms away, concurrency 64", beside, least=1.9, unit=" x", timed=True
    )
