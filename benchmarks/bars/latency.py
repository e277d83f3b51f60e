"""From commit to delivered while nothing else happens, and what a worker costs while nothing happens at all."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine

from bars.application import engine_of, enqueue, woken
from bars.bar import Bar, Figure
from bars.rows import set_journal
from bars.sink import Sink, sink
from bars.working import working
from support.databases import Database
from support.queries import Counter
from support.workers import WorkerProcess

_P50 = {"sqlite": 10.0, "postgresql": 10.0, "mariadb": 120.0}
_P99 = {"sqlite": 50.0, "postgresql": 50.0, "mariadb": None}


def measure(
    database: Database,
    folder: Path,
    *,
    events: int = 100,
    seconds: float = 30.0,
    gap: tuple[float, float] = (0.8, 1.6),
    journals: tuple[str, ...] = ("delete", "wal"),
) -> Iterator[Figure]:
    """Commit an event now and then, and see when it arrives; then commit none."""
    for journal in journals if database.kind == "sqlite" else ("",):
        if journal:
            set_journal(database, journal)
        counter = None if database.server is None else Counter(database)
        with (
            sink() as destination,
            woken(),
            working(database, folder, destination.url, wake="on") as (process,),
            closing(_Application(database)) as application,
        ):
            process.until("concurrency")
            times = sorted(application.latencies(destination, events, gap))
            name = f"{journal} commit to delivered".strip()
            yield Figure(
                f"{name}, p50 of {events}", times[events // 2], most=_P50[database.kind], unit=" ms", timed=True
            )
            yield Figure("p99", times[events * 99 // 100], most=_P99[database.kind], unit=" ms", timed=True)
            yield from _idle(process, counter, seconds)


def _idle(process: WorkerProcess, counter: Counter | None, seconds: float) -> Iterator[Figure]:
    time.sleep(3)  # until looks are at their seldomest
    if counter is not None:
        counter.restart()
    before, began = _cpu(process), time.perf_counter()
    time.sleep(seconds)
    share = (_cpu(process) - before) / (time.perf_counter() - began) * 100
    yield Figure("idle: of a core", share, most=0.5, unit=" %", timed=True)
    if counter is not None:
        yield Figure("idle: queries", counter.read().rate, least=0.5, most=10, unit="/s")


def _cpu(process: WorkerProcess) -> float:
    """Seconds that the process has run, by the scheduler's clock."""
    tasks = Path(f"/proc/{process.process.pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in tasks) / 1e9


class _Application:
    def __init__(self, database: Database) -> None:
        self._engine: Engine = engine_of(database)

    def latencies(self, destination: Sink, events: int, gap: tuple[float, float]) -> Iterator[float]:
        """Milliseconds from each COMMIT's return to the event's arrival."""
        generator = random.Random(1)  # noqa: S311 - paces, guards nothing
        enqueue(self._engine)
        destination.wait_for(1, timeout=30)
        for number in range(2, events + 2):
            time.sleep(generator.uniform(*gap))
            enqueue(self._engine)
            committed = time.perf_counter()
            destination.wait_for(number, timeout=30)
            yield (destination.last - committed) * 1000

    def close(self) -> None:
        """Disconnect."""
        self._engine.dispose()


BAR = Bar("latency", measure, short={"events": 4, "seconds": 2.0, "gap": (0.1, 0.2), "journals": ("wal",)})
