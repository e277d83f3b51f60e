"""What it costs those who commit that they wake workers."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from statistics import median

import psycopg
from sqlalchemy import text

from bars.application import engine_of, enqueue
from bars.bar import Bar, Figure
from outbox.schema import CHANNEL
from support.databases import Database

_spawn = multiprocessing.get_context("spawn")


def measure(database: Database, *, committers: int = 16, rounds: int = 7, seconds: float = 4.0) -> Iterator[Figure]:
    """Commit as fast as possible from many processes, by turns with wake-ups and without, while somebody listens."""
    rates: dict[str, list[float]] = {"off": [], "on": []}
    with (
        psycopg.connect(database.url.replace("+psycopg", ""), autocommit=True) as listener,
        ProcessPoolExecutor(committers, mp_context=_spawn) as pool,
    ):
        listener.execute(f"LISTEN {CHANNEL}".encode())
        for turn in range(rounds + 1):
            for wake in ("off", "on") if turn % 2 else ("on", "off"):
                rate = _together(database, pool, committers, wake, seconds)
                if turn:  # the first one loads what the others find loaded
                    rates[wake].append(rate)
        heard = len(list(listener.notifies(timeout=0)))
    yield Figure(f"{committers} committers without wake-ups", median(rates["off"]), unit="/s")
    yield Figure("with wake-ups", median(rates["on"]), unit="/s")
    ratio = median(on / off for on, off in zip(rates["on"], rates["off"], strict=True)) * 100
    yield Figure(f"of the throughput, median of {rounds} rounds", ratio, least=95, unit=" %", timed=True)
    yield Figure("notifications", heard, least=1)


def _together(database: Database, pool: ProcessPoolExecutor, committers: int, wake: str, seconds: float) -> float:
    begin = time.time() + 0.5
    jobs = [pool.submit(_commit, database.kind, database.url, wake, begin, seconds) for _ in range(committers)]
    count = sum(job.result() for job in jobs)
    with database.engine.begin() as connection:
        connection.execute(text("TRUNCATE outbox_message"))
    return count / seconds


def _commit(kind: str, url: str, wake: str, begin: float, seconds: float) -> int:
    """Commit one event after the other; give how many."""
    os.environ["OUTBOX_WAKE"] = wake
    engine, count = engine_of(Database(kind, url)), 0
    with engine.connect():
        pass
    time.sleep(max(0.0, begin - time.time()))
    while time.time() < begin + seconds:
        enqueue(engine)
        count += 1
    engine.dispose()
    return count


BAR = Bar("wake-ups", measure, kinds=("postgresql",), short={"committers": 2, "rounds": 1, "seconds": 0.5})
