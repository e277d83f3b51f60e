"""What `enqueue` costs beside a bare INSERT of the same rows, through SQLAlchemy, in the same place.

The bare INSERT is the best that an application can write with SQLAlchemy Core: one statement object that is compiled once and
found in the cache, rows that lie ready as dicts, with ids made and bodies encoded. What is judged is the documented call with an
`Event` and an `Identity` that were made before it; with both made inside the call is measured, too, and told without a bar.

Each round runs a block of either kind, by turns the one or the other first, in a transaction of its own that has begun before the
clock starts. The block's rows are counted, and rolled back. A ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from statistics import median
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Connection, Engine, create_engine, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import outbox
from bars.bar import Bar, Figure
from outbox.producer import rows
from outbox.producer.rows import Row
from outbox.schema import message
from support.databases import Database

Target: TypeAlias = Session | Connection
AsyncTarget: TypeAlias = AsyncSession | AsyncConnection

INSERT = message.insert()
_COUNT = select(func.count()).select_from(message)


def an_event() -> outbox.Event:
    """An event as the documentation has it."""
    return outbox.Event(
        "document_exported",
        device_id="0b1c6e0e-4a3c-4a39-9d0c-5f1c2ad8a001",
        session_id="7f9d3c52-61a4-4d0e-8a8e-0d3f6a9be002",
        context="product",
        project_id="my-project",
        properties={"pages": 12, "price": 29.99, "format": "pdf", "plan": "premium"},
        url="https://app.example.com/documents/7",
        hostname="app.example.com",
    )


def an_identity() -> outbox.Identity:
    """Who did it."""
    return outbox.Identity("user_123", email="user@example.com", name="John Doe")


class Given(NamedTuple):
    """What a block of calls works on, made before the clock starts."""

    events: list[tuple[outbox.Event, outbox.Identity]]
    rows: list[Row]
    """The same events as `enqueue` writes them."""

    @classmethod
    def make(cls, count: int, *, clock: bool = False) -> Given:
        """As many events, each an object of its own. `clock`: the rows hold the times, too."""
        events = [(an_event(), an_identity()) for _ in range(count)]
        plain = {"destination": "overcentric", "on_unknown": None, "delay": None, "deliver_at": None}
        made = rows.many(events, None, None, plain).rows
        times = dict.fromkeys(("created_at", "occurred_at", "due_at"), datetime.now(UTC)) if clock else {}
        return cls(events, [row | times for row in made])


Block: TypeAlias = Callable[[Any, Given], None]
AsyncBlock: TypeAlias = Callable[[Any, Given], Awaitable[None]]


def _bare(target: Target, given: Given) -> None:
    for row in given.rows:
        target.execute(INSERT, row)


def _bare_below(session: Session, given: Given) -> None:
    for row in given.rows:
        session.connection().execute(INSERT, row)


def _bare_many(target: Target, given: Given) -> None:
    target.execute(INSERT, given.rows)


def _ours(target: Target, given: Given) -> None:
    for event, identity in given.events:
        outbox.enqueue(target, event, identity=identity)


def _ours_as_used(target: Target, given: Given) -> None:
    for _ in given.events:
        outbox.enqueue(target, an_event(), identity=an_identity())


def _ours_many(target: Target, given: Given) -> None:
    outbox.enqueue_many(target, given.events)


async def _bare_async(target: AsyncTarget, given: Given) -> None:
    for row in given.rows:
        await target.execute(INSERT, row)


async def _ours_async(target: AsyncTarget, given: Given) -> None:
    for event, identity in given.events:
        await outbox.enqueue_async(target, event, identity=identity)


class Pair(NamedTuple):
    """Ours against the bare INSERT, in one place."""

    what: str
    place: Callable[[Any], AbstractContextManager[Any]]
    bare: Block
    ours: Block
    most: float | None = None


def _in_connection(engine: Engine) -> AbstractContextManager[Connection]:
    return engine.connect()


PAIRS = (
    Pair("on a Connection", _in_connection, _bare, _ours, 1.15),
    Pair("in a Session", Session, _bare, _ours, 1.25),
    Pair("in a Session, to execute on its Connection", Session, _bare_below, _ours),
    Pair("on a Connection, Event and Identity made in the call", _in_connection, _bare, _ours_as_used),
)
MANY = (
    Pair("on a Connection", _in_connection, _bare_many, _ours_many, 1.3),
    Pair("in a Session", Session, _bare_many, _ours_many, 1.3),
)


def measure(
    database: Database, *, rounds: int = 200, block: int = 50, many: int = 1000, many_rounds: int = 40
) -> Iterator[Figure]:
    """Compare single events, then batches, then single ones with await."""
    engine = create_engine(database.url)
    outbox.sqlite.configure(engine)
    for pair in PAIRS:
        yield from _figures(f"enqueue {pair.what}", pair.most, block, _compared(engine, pair, rounds, block))
    for pair in MANY:
        # The drivers of MariaDB gather rows into one statement only where every value is a parameter: so does ours.
        clock = database.kind == "mariadb"
        yield from _figures(
            f"enqueue_many({many}) {pair.what}", pair.most, many, _compared(engine, pair, many_rounds, many, clock)
        )
    engine.dispose()
    for what, times in asyncio.run(_compared_async(database, rounds, block)).items():
        yield from _figures(f"enqueue_async {what}", None, block, times)


class Times(NamedTuple):
    """Seconds of one round's two blocks."""

    bare: float
    ours: float


def _figures(what: str, most: float | None, count: int, times: list[Times]) -> Iterator[Figure]:
    micros = 1e6 / count * median(each.bare for each in times)
    ratio = median(each.ours / each.bare for each in times)
    yield Figure(f"{what}, to {micros:.0f} µs", ratio, most=most, unit=" x", timed=True)


def _compared(engine: Engine, pair: Pair, rounds: int, count: int, clock: bool = False) -> list[Times]:  # noqa: FBT001, FBT002 - as Given has it
    found = []
    for turn in range(rounds + 1):
        given = Given.make(count, clock=clock)
        order = (pair.bare, pair.ours) if turn % 2 else (pair.ours, pair.bare)
        seconds = {each: _seconds(engine, pair, each, given) for each in order}
        found.append(Times(seconds[pair.bare], seconds[pair.ours]))
    return found[1:]  # the first one compiles and imports


def _seconds(engine: Engine, pair: Pair, block: Block, given: Given) -> float:
    with pair.place(engine) as target:
        before = target.execute(_COUNT).scalar_one()  # begins the transaction
        began = time.perf_counter()
        block(target, given)
        took = time.perf_counter() - began
        written = target.execute(_COUNT).scalar_one() - before
        target.rollback()
    if written != len(given.events):
        msg = f"{written} rows of {len(given.events)}"
        raise AssertionError(msg)
    return took


async def _compared_async(database: Database, rounds: int, count: int) -> dict[str, list[Times]]:
    engine = create_async_engine(database.async_url())
    outbox.sqlite.configure(engine)
    found: dict[str, list[Times]] = {"on an AsyncConnection": [], "in an AsyncSession": []}
    for turn in range(rounds + 1):
        for what, times in found.items():
            given = Given.make(count)
            order = (_bare_async, _ours_async) if turn % 2 else (_ours_async, _bare_async)
            seconds = {each: await _seconds_async(engine, what, each, given) for each in order}
            times.append(Times(seconds[_bare_async], seconds[_ours_async]))
    await engine.dispose()
    return {what: times[1:] for what, times in found.items()}


async def _seconds_async(engine: AsyncEngine, what: str, block: AsyncBlock, given: Given) -> float:
    async with engine.connect() if what == "on an AsyncConnection" else AsyncSession(engine) as target:
        await target.execute(_COUNT)
        began = time.perf_counter()
        await block(target, given)
        took = time.perf_counter() - began
        await target.rollback()
    return took


BAR = Bar("enqueue", measure, short={"rounds": 2, "block": 3, "many": 20, "many_rounds": 2})
