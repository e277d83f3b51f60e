"""What the application feels: its own transactions beside workers that claim and settle."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from sqlalchemy.exc import DBAPIError

from bars.application import engine_of, enqueue
from bars.bar import Bar, Figure
from bars.rows import empty, fill, set_journal
from bars.sink import Sink, sink
from bars.working import working
from support.databases import Database

PRODUCERS = 4
BODY = '{"event": {"name": "backlog"}}'

_spawn = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Felt:
    """Milliseconds of each transaction, sorted, and how many failed."""

    times: list[float]
    errors: int

    @property
    def p99(self) -> float:
        """What one of a hundred exceeds."""
        return self.times[len(self.times) * 99 // 100]


def measure(
    database: Database,
    folder: Path,
    *,
    seconds: float = 20.0,
    rounds: int = 3,
    backlog: int = 200_000,
    journals: tuple[str, ...] = ("delete", "wal"),
    seed: int = 1,
) -> Iterator[Figure]:
    """Compare four producers beside two workers, and without; the workers have a backlog, too."""
    with sink() as destination, ProcessPoolExecutor(PRODUCERS, mp_context=_spawn) as pool:
        producers = Producers(database, pool, seconds)
        for journal in journals if database.kind == "sqlite" else ("",):
            if journal:
                set_journal(database, journal)
            alone, traffic, busy = [], [], []
            for turn in range(seed, seed + rounds):
                alone.append(producers.produce(turn))
                traffic.append(_beside(producers, folder, destination, 0, turn))
                busy.append(_beside(producers, folder, destination, backlog, turn))
            yield from _figures(f"{journal} p99", alone, traffic, busy)
            yield Figure(f"{journal} errors, seed {seed}".strip(), sum(each.errors for each in traffic + busy), most=0)


def _figures(name: str, alone: list[Felt], traffic: list[Felt], busy: list[Felt]) -> Iterator[Figure]:
    before = median(each.p99 for each in alone)
    what = f"{name} {before:.0f} ms, more beside 2 workers".strip()
    for those, words in ((traffic, ""), (busy, " with a backlog")):
        added = median(each.p99 for each in those) - before
        yield Figure(what + words, added, most=50, unit=" ms", timed=True)


@dataclass(frozen=True)
class Producers:
    """Processes that write as an application does."""

    database: Database
    pool: ProcessPoolExecutor
    seconds: float

    def produce(self, seed: int) -> Felt:
        """Let all of them write, paced by the seed."""
        kind, url = self.database.kind, self.database.url
        jobs = [
            self.pool.submit(_produce, kind, url, self.seconds, seed * PRODUCERS + number)
            for number in range(PRODUCERS)
        ]
        felt = [job.result() for job in jobs]
        return Felt(sorted(each for one in felt for each in one.times), sum(one.errors for one in felt))


def _beside(producers: Producers, folder: Path, destination: Sink, backlog: int, seed: int) -> Felt:
    """Let them write beside two workers."""
    database = producers.database
    empty(database)
    if backlog:
        fill(database, backlog, body=BODY)
    with working(database, folder, destination.url, workers=2) as workers:
        for each in workers:
            each.until("concurrency", timeout=60)
        return producers.produce(seed)


def _produce(kind: str, url: str, seconds: float, seed: int) -> Felt:
    """Commit an event now and then, about twenty a second, and time each."""
    engine, generator = engine_of(Database(kind, url)), random.Random(seed)  # noqa: S311 - paces, guards nothing
    with engine.connect():  # loads what the first transaction would wait for
        pass
    times, errors, end = [], 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        time.sleep(generator.uniform(0.0, 0.1))
        began = time.perf_counter()
        try:
            enqueue(engine)
        except DBAPIError:
            errors += 1
        times.append((time.perf_counter() - began) * 1000)
    engine.dispose()
    return Felt(times, errors)


BAR = Bar(
    "inserts",
    measure,
    kinds=("sqlite", "mariadb"),
    short={"seconds": 1.0, "rounds": 1, "backlog": 5000, "journals": ("delete",)},
)
