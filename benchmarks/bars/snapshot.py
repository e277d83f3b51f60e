"""A transaction that stays open, as a backup's or a report's does: claims must not slow down behind it.

PostgreSQL keeps the index entries of settled messages for as long as any snapshot is older. The claims and settles are
the worker's own, with its watermark; nothing is sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from statistics import mean, median

from sqlalchemy import text

from bars.bar import Bar, Figure
from bars.explaining import TABLE, Plan, explaining
from bars.rows import analyse, empty, fill
from outbox.message import Delivered
from outbox.store import Choice, Claimed, Position, Store
from outbox.store.engine import open_engine
from outbox.worker.watermark import Watermark
from support.databases import Database

BODY = "x" * 350
SAMPLE = 10
"""Of how many claims one is explained."""


@dataclass
class Run:
    """What working off a backlog came to."""

    seconds: float = 0.0
    onward: list[float] = field(default_factory=list)
    """Seconds of each claim that went on behind the last one."""
    back: list[float] = field(default_factory=list)
    """Seconds of each other claim: from further back, and from the start."""
    buffers: list[int] = field(default_factory=list)
    """Shared buffers of the scan of some of the claims that went on."""

    @property
    def slowdown(self) -> float:
        """The last tenth of the claims beside the first tenth; the very first ones find nothing in memory."""
        tenth = max(1, len(self.onward) // 10)
        return median(self.onward[-tenth:]) / median(self.onward[:tenth])


def measure(database: Database, *, messages: int = 1_000_000, batch: int = 1000, rounds: int = 1) -> Iterator[Figure]:
    """Work off a backlog beside an old snapshot, and without one."""
    held: list[Run] = []
    free: list[Run] = []
    for _ in range(rounds):
        free.append(_measured(database, messages, batch, nullcontext()))
        held.append(_measured(database, messages, batch, snapshot(database)))
    yield Figure("last tenth of claims beside the first", median(run.slowdown for run in held), most=1.3, timed=True)
    yield Figure("the same without a snapshot", median(run.slowdown for run in free))
    buffers = max(max(run.buffers) for run in held)
    yield Figure(f"buffers of a scan for {batch:,} from the watermark, at most", buffers, most=500)
    speed = median(run.seconds for run in free) / median(run.seconds for run in held) * 100
    yield Figure("throughput beside that without a snapshot", speed, least=90, unit=" %", timed=True)
    back = sum(sum(run.back) for run in held) / sum(run.seconds for run in held) * 100
    yield Figure("time in claims from further back", back, most=12, unit=" %", timed=True)
    yield Figure("a claim that goes on, mean", mean(held[0].onward) * 1000, unit=" ms")
    yield Figure("messages a second, snapshot held", messages / median(run.seconds for run in held))


def _measured(database: Database, messages: int, batch: int, beside: AbstractContextManager[None]) -> Run:
    empty(database)
    fill(database, messages, body=BODY)
    analyse(database)
    with beside:
        return work_off(database, batch)


@contextmanager
def snapshot(database: Database) -> Iterator[None]:
    """Hold a snapshot as old as the backlog."""
    engine = open_engine(database.url)
    with engine.connect() as connection:
        connection.execution_options(isolation_level="REPEATABLE READ").execute(
            text("SELECT count(*) FROM outbox_dedup")
        )
        yield
    engine.dispose()


def work_off(database: Database, batch: int) -> Run:
    """Claim and settle until nothing is left, as a worker does."""
    engine = open_engine(database.url)
    run, watermark = Run(), Watermark()
    began = time.perf_counter()
    with closing(Store(database.engine)) as store, closing(Store(engine)) as explained, explaining(engine) as plans:
        while True:
            start, turn = watermark.start()
            is_onward = turn is watermark._onward
            is_sample = is_onward and len(run.onward) % SAMPLE == SAMPLE - 1
            asked = time.perf_counter()
            with turn.taken():
                claimed = _claim(explained if is_sample else store, batch, start)
            took = time.perf_counter() - asked
            watermark.advance(start, claimed)
            if claimed.messages:
                (run.onward if is_onward else run.back).append(took)
                store.settle([(each, Delivered(200)) for each in claimed.messages], ())
            elif start is None:
                break
    engine.dispose()
    run.seconds = time.perf_counter() - began
    run.buffers = [_buffers(plan) for plan in plans if "LockRows" in {node["Node Type"] for node in plan.nodes}]
    return run


def _claim(store: Store, batch: int, start: Position | None) -> Claimed:
    return store.claim("overcentric", Choice.ANY, limit=batch, free=batch, lease=60.0, after=start)


def _buffers(plan: Plan) -> int:
    """What the scan touched. Locking what it found comes on top: a buffer for each row, whatever lies behind it."""
    scan = next(node for node in plan.nodes if node.get("Relation Name") == TABLE)
    return int(scan["Shared Hit Blocks"]) + int(scan["Shared Read Blocks"])


BAR = Bar("snapshot", measure, kinds=("postgresql",), short={"messages": 20_000, "batch": 200})
