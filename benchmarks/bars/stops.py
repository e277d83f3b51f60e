"""SIGTERM in a backlog, again and again: nothing twice, nothing charged, and soon."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, or_, select

from bars.bar import Bar, Figure
from bars.rows import empty, fill
from outbox.errors import OutboxError
from outbox.schema import message
from outbox.schema import worker as worker_table
from outbox.testing import ThreadedFakeServer, fake_server
from support.databases import Database
from support.events import BODIES
from support.waiting import eventually
from support.workers import WorkerProcess, environment, worker

TRY_SECONDS = 1.0
SECONDS = 60.0


def measure(
    database: Database, folder: Path, *, stops: int = 200, others: int = 10, seed: int | None = None
) -> Iterator[Figure]:
    """Stop busy workers, idle ones, and ones that have been told before."""
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    with fake_server("delay=20ms..80ms", seed=seed) as destination:
        fill(database, stops * 150, body=(BODIES / "minimal.json").read_text(encoding="utf-8"))
        busy = _busy(database, folder, destination, stops, random.Random(seed))  # noqa: S311 - chooses moments
        twice = destination.count - len(destination.keys)
        yield Figure(f"sent twice, {stops} stops, {destination.count:,} events, seed {seed}", twice, most=0)
        yield Figure("charged, or counted as lost", _charged(database), most=0)
        yield Figure("longest busy stop", max(busy), most=TRY_SECONDS + 1, unit=" s", timed=True)
        empty(database)
        idle = [_idle(database, folder, destination) for _ in range(others)]
        yield Figure("longest idle stop", max(idle), most=0.5, unit=" s", timed=True)
        destination.script = "hang"
        twice_told = [_told_twice(database, folder, destination, number) for number in range(1, others + 1)]
        yield Figure("longest end after a second signal", max(twice_told), most=1.0, unit=" s", timed=True)


def _busy(
    database: Database, folder: Path, destination: ThreadedFakeServer, stops: int, generator: random.Random
) -> list[float]:
    """Seconds to the end of each worker that is stopped while it sends."""
    settings = environment(database.url, destination.url, concurrency=16)
    took = []
    for _ in range(stops):
        with worker(folder, settings) as process:
            destination.wait_for(destination.count + generator.randint(1, 100), timeout=SECONDS)
            took.append(_seconds_to_end(process, signal.SIGTERM, 0))
    return took


def _charged(database: Database) -> int:
    is_charged = or_(message.c.attempts > 0, message.c.lost > 0)
    with database.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(message).where(is_charged)).scalar_one()


def _idle(database: Database, folder: Path, destination: ThreadedFakeServer) -> float:
    with worker(folder, environment(database.url, destination.url)) as process:
        eventually(lambda: _living(database), timeout=SECONDS)
        return _seconds_to_end(process, signal.SIGTERM, 0)


def _living(database: Database) -> int:
    with database.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(worker_table)).scalar_one()


def _told_twice(database: Database, folder: Path, destination: ThreadedFakeServer, number: int) -> float:
    fill(database, 1, first=number)
    before = destination.count
    slow = environment(database.url, destination.url, try_timeout="30s", lease="60s", drain_timeout="30s")
    with worker(folder, slow) as process:
        destination.wait_for(before + 1, timeout=SECONDS)
        process.signal(signal.SIGTERM)
        process.until("stopping")
        time.sleep(0.2)  # what follows sooner counts as the same signal
        return _seconds_to_end(process, signal.SIGTERM, 128 + signal.SIGTERM)


def _seconds_to_end(process: WorkerProcess, number: signal.Signals, code: int) -> float:
    began = time.perf_counter()
    process.signal(number)
    if (ended := process.wait(SECONDS)) != code:
        msg = f"a stopped worker ended with {ended}:\n{process.text}"
        raise OutboxError(msg)
    return time.perf_counter() - began


BAR = Bar("stops", measure, short={"stops": 2, "others": 1})
