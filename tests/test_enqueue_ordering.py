"""Messages of an `ordering_key` sort by `created_at, id` in the order of the calls that made them, with each driver."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import outbox
from outbox.schema import message
from support.applications import (
    ASYNC_DRIVERS,
    Application,
    Way,
    Work,
    event,
    every_asking_way,
    every_way,
    ids,
    messages,
)
from support.databases import Database

every_async_driver = pytest.mark.parametrize(
    ("database", "driver"),
    [pytest.param(kind, driver, id=driver) for kind, driver in ASYNC_DRIVERS],
    indirect=["database"],
)


class Base(DeclarativeBase):
    """An application's models."""


class Order(Base):
    """One of them."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)


def _in_order(database: Database, key: str = "key") -> list[UUID]:
    """The messages of a key, as a worker goes through them."""
    query = select(message.c.id).where(message.c.ordering_key == key).order_by(message.c.created_at, message.c.id)
    with database.engine.connect() as connection:
        return list(connection.scalars(query))


@every_way
def test_a_key_is_kept_with_its_message(database: Database, way: Way) -> None:
    """As it was given, in any script; None where there is none, also beside others in a list."""

    async def story(app: Application) -> list[UUID]:
        async with app.work() as work:
            made = [await work.enqueue(event()), await work.enqueue(event(), ordering_key="Zürich 🚀")]
            made += await work.enqueue_many([event()] * 3, ordering_keys=["x" * 200, None, "A"])
            made += await work.enqueue_many([event()] * 2, ordering_keys=[None, None], delay=1)
            await work.commit()
            return made

    made = Application(database, way).run(story)
    found = {row.id: row.ordering_key for row in messages(database)}
    assert [found[each] for each in made] == [None, "Zürich 🚀", "x" * 200, None, "A", None, None]


@every_way
def test_one_transaction_keeps_the_order_of_its_calls(database: Database, way: Way) -> None:
    """One by one and in lists, in and around a savepoint, with a time of their own and without."""

    async def story(app: Application) -> list[UUID]:
        async with app.work() as work:
            made = await _some(work)
            savepoint = await work.savepoint()
            made += await _some(work)
            await savepoint.release()
            made += await _some(work)
            await work.commit()
            return made

    made = Application(database, way).run(story)
    assert _in_order(database) == made
    assert ids(database) == made


async def _some(work: Work) -> list[UUID]:
    """Ten by themselves, and lists of ten, in which every other one has a time of its own."""
    happened = event(occurred_at=datetime(2025, 5, 1, tzinfo=UTC))
    made = [await work.enqueue(each, ordering_key="key") for each in [happened, event()] * 5]
    for pair in ([happened, event()], [event(), happened]):
        made += await work.enqueue_many(pair * 5, ordering_keys=["key"] * 10)
    made.append(await work.enqueue(event(), ordering_key="key"))
    return made


@every_way
def test_a_list_of_several_statements_keeps_its_order(database: Database, way: Way) -> None:
    """Several keys in turn, and more text than one statement takes."""

    async def story(app: Application) -> list[UUID]:
        async with app.work() as work:
            large = event(properties={"text": "x" * 200_000})
            made = await work.enqueue_many([large] * 16, ordering_keys=["a", "b"] * 8)
            await work.commit()
            return made

    made = Application(database, way).run(story)
    assert (_in_order(database, "a"), _in_order(database, "b")) == (made[::2], made[1::2])


@every_way
def test_transactions_one_after_another_keep_their_order(database: Database, way: Way) -> None:
    """What is enqueued after a commit comes after what was committed."""

    async def story(app: Application) -> list[UUID]:
        made = []
        async with app.work() as work:
            for _ in range(20):
                made.append(await work.enqueue(event(), ordering_key="key"))
                await work.commit()
                made += await work.enqueue_many([event(), event()], ordering_keys=["key", "key"])
                await work.commit()
        return made

    assert Application(database, way).run(story) == _in_order(database)


@every_asking_way
def test_a_repeated_dedup_key_leaves_the_order_alone(database: Database, way: Way) -> None:
    """The first message stays where it was, under its own ordering key; the others keep their order."""

    async def story(app: Application) -> list[UUID]:
        async with app.work() as work:
            made = [await work.enqueue(event(), dedup_key="1", ordering_key="key")]
            made += await work.enqueue_many(
                [event()] * 3, dedup_keys=["2", "1", None], ordering_keys=["key", "other", "key"]
            )
            await work.enqueue(event(), dedup_key="2", ordering_key="other")
            await work.commit()
            return made

    first, second, again, third = Application(database, way).run(story)
    assert again == first
    assert _in_order(database) == [first, second, third]
    assert _in_order(database, "other") == []


@every_async_driver
def test_with_await_and_without_keep_the_order_of_their_calls(database: Database, driver: str) -> None:
    """What an AsyncSession has queued without await is flushed before what is written at once; without a key it waits."""

    async def story() -> list[UUID]:
        engine = create_async_engine(database.async_url(driver))
        async with AsyncSession(engine) as session:
            made = [outbox.enqueue(session, event(), ordering_key="key")]
            made.append(await outbox.enqueue_async(session, event(), ordering_key="key", dedup_key="1"))
            made += outbox.enqueue_many(session, [event()] * 3, ordering_keys=["key"] * 3)
            made += await outbox.enqueue_many_async(session, [event()] * 3, ordering_keys=["key"] * 3)
            made.append(outbox.enqueue(session, event(), ordering_key="key"))
            await outbox.enqueue_async(session, event())
            assert len(session.new) == 1
            await session.commit()
        await engine.dispose()
        return made

    assert asyncio.run(story()) == _in_order(database)


@every_async_driver
def test_only_queued_messages_are_flushed_for_the_order(database: Database, driver: str) -> None:
    """The application's own objects wait for the session's flush where no message does."""

    async def story() -> None:
        engine = create_async_engine(database.async_url(driver))
        async with AsyncSession(engine) as session:
            session.add(Order())
            await outbox.enqueue_async(session, event(), ordering_key="key")
            assert len(session.new) == 1
        await engine.dispose()

    asyncio.run(story())


@every_async_driver
def test_objects_that_leave_a_session_do_not_disturb_the_order(database: Database, driver: str) -> None:
    """An AsyncSession numbers its new objects; after an `expunge` it gives the same number twice."""

    async def story() -> list[UUID]:
        engine = create_async_engine(database.async_url(driver))
        async with AsyncSession(engine) as session:
            orders = [Order() for _ in range(40)]
            session.add_all(orders)
            made = []
            for order in orders:
                made.append(outbox.enqueue(session, event(), ordering_key="key"))
                session.expunge(order)
            await session.commit()
        await engine.dispose()
        return made

    assert asyncio.run(story()) == _in_order(database)


_APPLICATION = """
import sys
from sqlalchemy import create_engine
import outbox
engine = create_engine(sys.argv[1])
outbox.sqlite.configure(engine)
event = outbox.Event.server("order_placed", project_id="project")
for word in sys.stdin:
    with engine.begin() as connection:
        if word.strip() == "one":
            made = [outbox.enqueue(connection, event, ordering_key="key")]
        else:
            made = outbox.enqueue_many(connection, [event] * 3, ordering_keys=["key"] * 3)
    print(*made, flush=True)
"""


@contextmanager
def _applications(database: Database, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that enqueue and commit each time they are told to."""
    command = [sys.executable, "-c", _APPLICATION, database.url]
    with ExitStack() as stack:
        yield [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(count)
        ]


def _told(process: subprocess.Popen[str], word: str) -> list[UUID]:
    """The ids of what it has enqueued, once that is committed."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()
    return [UUID(made) for made in process.stdout.readline().split()]


def test_two_processes_keep_the_order_of_their_commits(database: Database) -> None:
    """One enqueues when the other's commit has returned, in turn; SQLite's clock may stand still meanwhile."""
    with _applications(database, 2) as processes:
        made = [
            each
            for _ in range(50)
            for word in ("one", "many")
            for process in processes
            for each in _told(process, word)
        ]
    assert len(made) == 400
    assert _in_order(database) == made
    assert ids(database) == made


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_message_without_a_key_is_written_as_before(database: Database) -> None:
    """Its statement does not name the column."""
    app = Application(database, Way("pysqlite", "connection", awaits=False))

    async def story(app: Application) -> list[str]:
        async with app.work() as work:
            said: list[str] = []
            work.target.connection.driver_connection.set_trace_callback(said.append)
            await work.enqueue(event())
            await work.enqueue_many([event(), event()])
            return [each for each in said if "INSERT" in each]

    said = app.run(story)
    assert len(said) == 3
    assert not any("ordering_key" in each for each in said)


@pytest.mark.parametrize("driver", ["pymysql", "asyncmy"])
@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_a_list_with_keys_is_one_statement_on_mariadb(database: Database, driver: str) -> None:
    """With a key and without, in one INSERT."""

    async def story(app: Application) -> int:
        async with app.work() as work:
            before = await _inserts(work)
            await work.enqueue_many([event()] * 300, ordering_keys=["a", None, "b"] * 100)
            return await _inserts(work) - before

    assert Application(database, Way(driver, "connection", awaits=driver == "asyncmy")).run(story) == 1


async def _inserts(work: Work) -> int:
    found: Any = await work.execute(text("SHOW SESSION STATUS LIKE 'Com_insert'"))
    return int(found.one()[1])
