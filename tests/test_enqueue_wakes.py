"""What an application that wakes workers sends: one notification for a burst, with the COMMIT."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import outbox
from outbox.schema import CHANNEL
from support.applications import Application, Way, event, every_way, messages
from support.databases import Database

ON_POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


class Listener:
    """Hears what is notified in a database."""

    def __init__(self, database: Database) -> None:
        self.connection = psycopg.connect(database.url.replace("+psycopg", ""), autocommit=True)
        self._payloads: list[str] = []
        # Not `notifies()`: that of psycopg 3.2.1 misses what came with a statement's own answer.
        self.connection.add_notify_handler(lambda each: self._payloads.append(each.payload))
        self.connection.execute(f"LISTEN {CHANNEL}".encode())

    def heard(self) -> int:
        """How many notifications have arrived: those of every transaction that has ended."""
        # Its own comes behind all of them.
        self.connection.execute(f"NOTIFY {CHANNEL}, 'end'".encode())
        while "end" not in self._payloads:
            self.connection.execute("SELECT 1")
        count = self._payloads.index("end")
        self._payloads.clear()
        return count


@pytest.fixture
def listener(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """Listen, and let this process notify at the beginning of a burst, which lasts until it has been quiet for a minute."""
    monkeypatch.setenv("OUTBOX_WAKE", "on")
    monkeypatch.setattr("outbox.producer.wake.QUIET_SECONDS", 60.0)
    made = Listener(database)
    with closing(made.connection):
        yield made


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Give an application's engine."""
    made = create_engine(database.url)
    yield made
    made.dispose()


@ON_POSTGRESQL
def test_a_burst_notifies_once(listener: Listener, engine: Engine) -> None:
    """A hundred transactions within the quiet time send one notification, the first."""
    for _ in range(100):
        with engine.begin() as connection:
            outbox.enqueue(connection, event())
    assert listener.heard() == 1


@ON_POSTGRESQL
def test_after_a_quiet_time_it_notifies_again(
    listener: Listener, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each event that comes behind a quiet time begins a burst."""
    monkeypatch.setattr("outbox.producer.wake.QUIET_SECONDS", 0.0)
    for _ in range(3):
        with Session(engine) as session, session.begin():
            outbox.enqueue(session, event())
    with Session(engine) as session, session.begin():
        outbox.enqueue_many(session, [event(), event()])
    assert listener.heard() == 4


@ON_POSTGRESQL
def test_a_rollback_notifies_nobody(listener: Listener, engine: Engine) -> None:
    """The notification is the transaction's."""
    with engine.connect() as connection:
        outbox.enqueue(connection, event())
        connection.rollback()
    assert listener.heard() == 0


@ON_POSTGRESQL
@pytest.mark.parametrize("options", [{"delay": 5.0}, {"delay": 0.5}])
def test_what_is_due_later_notifies_nobody(listener: Listener, engine: Engine, options: dict[str, Any]) -> None:
    """A worker that looked at the commit would find nothing."""
    with engine.begin() as connection:
        outbox.enqueue(connection, event(), **options)
    assert listener.heard() == 0


@ON_POSTGRESQL
def test_off_notifies_nobody(listener: Listener, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the setting an enqueue sends its INSERT alone."""
    monkeypatch.delenv("OUTBOX_WAKE")
    with engine.begin() as connection:
        outbox.enqueue(connection, event())
    assert listener.heard() == 0


@ON_POSTGRESQL
def test_an_async_session_notifies_at_its_flush(listener: Listener, database: Database) -> None:
    """Enqueued without await, many at once, it notifies once."""

    async def write() -> None:
        engine = create_async_engine(database.async_url())
        async with AsyncSession(engine) as session, session.begin():
            outbox.enqueue_many(session, [event() for _ in range(20)])
        await engine.dispose()

    asyncio.run(write())
    assert listener.heard() == 1


def test_two_phases_are_left_alone(postgres_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL prepares no transaction that has notified: such a one does not."""
    from support.databases import build_schema
    from support.servers import PostgresServer

    monkeypatch.setenv("OUTBOX_WAKE", "on")
    with PostgresServer(options=["max_prepared_transactions=2"]) as server:
        url = server.create_database("shop")
        build_schema(url)
        database = Database("postgresql", url, server)
        engine = create_engine(url)
        listener = Listener(database)
        with closing(listener.connection):
            with engine.connect() as connection:
                transaction = connection.begin_twophase()
                outbox.enqueue(connection, event())
                transaction.prepare()
                transaction.commit()
            assert listener.heard() == 0
        assert len(messages(database)) == 1
        engine.dispose()
        database.dispose()


@every_way
def test_every_driver_bears_it(database: Database, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """With each driver and on each database an application may have the setting, for one or many."""
    monkeypatch.setenv("OUTBOX_WAKE", "on")
    monkeypatch.setattr("outbox.producer.wake.QUIET_SECONDS", 0.0)

    async def story(application: Application) -> None:
        async with application.work() as work:
            await work.enqueue(event())
            await work.enqueue_many([event(), event()])
            await work.commit()

    Application(database, way).run(story)
    assert len(messages(database)) == 3
