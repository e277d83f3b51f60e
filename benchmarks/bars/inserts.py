"""What the application feels: its own transactions beside workers that claim and settle."""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from sqlalchemy.exc import DBAPIError

from bars.application import engine_of, enqueue
from bars.bar import Bar, Figure
from bars.rows import empty, fill
from bars.sink import sink
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
    database: Database, folder: Path, *, seconds: float = 20.0, rounds: int = 3, backlog: int = 200_000, seed: int = 1
) -> Iterator[Figure]:
    """Compare four producers beside two workers, and without; the workers have a backlog, too."""
    for mode in ("delete", "wal") if database.kind == "sqlite" else ("",):
        if mode:
            with closing(sqlite3.connect(database.engine.url.database or "")) as connection:
                connection.execute(f"PRAGMA journal_mode = {mode}")
        alone, traffic, busy = [], [], []
        for turn in range(rounds):
            alone.append(_felt(database, folder, seconds, None, seed + turn))
            traffic.append(_felt(database, folder, seconds, 0, seed + turn))
            busy.append(_felt(database, folder, seconds, backlog, seed + turn))
        before = median(each.p99 for each in alone)
        what = f"{mode} p99 {before:.0f} ms, more beside 2 workers".strip()
        for those, words in ((traffic, ""), (busy, " with a backlog")):
            added = median(each.p99 for each in those) - before
            yield Figure(what + words, added, most=50, unit=" ms", timed=True)
        yield Figure(f"{mode} errors, seed {seed}".strip(), sum(each.errors for each in traffic + busy), most=0)


def _felt(database: Database, folder: Path, seconds: float, backlog: int | None, seed: int) -> Felt:
    """Let the producers work, beside workers unless `backlog` is None."""
    empty(database)
    if backlog:
        fill(database, backlog, body=BODY)
    with sink() as destination:
        if backlog is None:
            return _produced(database, seconds, seed)
        with working(database, folder, destination.url, workers=2) as workers:
            for each in workers:
                each.until("concurrency")
            return _produced(database, seconds, seed)


def _produced(database: Database, seconds: float, seed: int) -> Felt:
    with ProcessPoolExecutor(PRODUCERS, mp_context=_spawn) as pool:
        jobs = [
            pool.submit(_produce, database.kind, database.url, seconds, seed * PRODUCERS + number)
            for number in range(PRODUCERS)
        ]
        felt = [job.result() for job in jobs]
    return Felt(sorted(each for one in felt for each in one.times), sum(one.errors for one in felt))


def _produce(kind: str, url: str, seconds: float, seed: int) -> Felt:
    """Commit an event now and then, about twenty a second, and time each."""
    engine, generator = engine_of(Database(kind, url)), random.Random(seed)  # noqa: S311 - paces, guards nothing
    enqueue(engine)
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


BAR = Bar("inserts", measure, kinds=("sqlite", "mariadb"), short={"seconds": 1.5, "rounds": 1, "backlog": 5000})
