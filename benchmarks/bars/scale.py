"""A table of ten million: claims, settles, `outbox status` and `outbox purge` must not feel what lies beside their work.

The claims and settles are the worker's own, with its watermark; nothing is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from statistics import median

from bars.bar import Bar, Figure
from bars.rows import analyse, empty, fill
from outbox.message import Delivered
from outbox.store import Choice, Store
from outbox.store.engine import open_engine
from outbox.store.look import standing
from outbox.store.purge import Kept, PrimaryKey, find, remove, start_of
from outbox.store.transactions import Transactions
from outbox.worker.watermark import Watermark
from support.databases import Database

BODY = "x" * 430
"""As long as the documented purchase."""

_CHUNK = 500_000
"""Rows of one INSERT."""


def measure(
    database: Database, *, few: int = 10_000, settled: int = 9_000_000, pending: int = 1_000_000, batch: int = 250
) -> Iterator[Figure]:
    """Work on a small table, then on a large one."""
    _fill(database, few, first=1)
    analyse(database)
    small = _work(database, batch, few // batch // 2)
    empty(database)
    _fill(database, settled, first=1, state="delivered")
    _fill(database, pending, first=settled + 1)
    analyse(database)
    large = _work(database, batch, few // batch // 2)
    rows = f"{settled + pending:,} rows"
    yield Figure("claim and settle an event, µs, small table", small * 1e6, unit=" µs")
    yield Figure(f"the same, {rows}", large * 1e6, unit=" µs")
    yield Figure(f"claim and settle an event, {rows} beside {few:,}", large / small, most=1.3, unit=" x", timed=True)
    yield Figure(f"outbox status, {rows}", _status(database), unit=" s")
    each, held = _purge(database, pages=50)
    yield Figure(f"outbox purge, messages a second, {rows}", each, unit="/s")
    yield Figure("the longest of its transactions", held, unit=" s")


def _fill(database: Database, count: int, *, first: int, state: str = "pending") -> None:
    for start in range(first, first + count, _CHUNK):
        fill(database, min(_CHUNK, first + count - start), first=start, state=state, body=BODY)


def _work(database: Database, batch: int, batches: int) -> float:
    """Seconds of claiming and settling one event, the median of the batches."""
    engine = open_engine(database.url)
    watermark, seconds = Watermark(), list[float]()
    with closing(Store(engine)) as store:
        for _ in range(batches):
            start, turn = watermark.start()
            began = time.perf_counter()
            with turn.taken():
                claimed = store.claim("overcentric", Choice.ANY, limit=batch, free=batch, lease=60.0, after=start)
            store.settle([(each, Delivered(200)) for each in claimed.messages], ())
            if claimed.messages:  # a look from further back finds nothing new
                seconds.append((time.perf_counter() - began) / len(claimed.messages))
            watermark.advance(start, claimed)
    engine.dispose()
    return median(seconds)


def _status(database: Database) -> float:
    """Seconds of what `outbox status` asks, once all that it reads is in memory."""
    with database.engine.connect() as connection:
        return min(_timed(lambda: standing(connection, ("overcentric",))) for _ in range(3))


def _purge(database: Database, pages: int) -> tuple[float, float]:
    """Messages removed a second, and seconds of the longest transaction."""
    engine = open_engine(database.url)
    transactions, removed, seconds = Transactions(engine), 0, list[float]()
    after: PrimaryKey | None = start_of(Kept.DELIVERED)
    for _ in range(pages):
        if after is None:
            break
        began = time.perf_counter()
        page = transactions.run(find, Kept.DELIVERED, 0.0, after)
        removed, after = removed + transactions.run(remove, Kept.DELIVERED, 0.0, page.old), page.reached
        seconds.append(time.perf_counter() - began)
    transactions.close()
    engine.dispose()
    return removed / sum(seconds), max(seconds)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


BAR = Bar("scale", measure, short={"few": 2000, "settled": 6000, "pending": 2000, "batch": 100})
