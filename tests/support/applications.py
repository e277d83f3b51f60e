"""An application with each of the drivers that applications use, so that one story can be told through all of them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import pytest
from sqlalchemy import Engine, Row, create_engine, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import outbox
from outbox.schema import dedup, message
from support.databases import Database

Found = TypeVar("Found")

SYNC_DRIVERS = (("sqlite", "pysqlite"), ("postgresql", "psycopg"), ("mariadb", "pymysql"))
ASYNC_DRIVERS = (("sqlite", "aiosqlite"), ("postgresql", "psycopg"), ("postgresql", "asyncpg"), ("mariadb", "asyncmy"))


@dataclass(frozen=True)
class Way:
    """How the application reaches the outbox."""

    driver: str
    carrier: str
    """`session`, `connection`, or `queued`: an AsyncSession without await."""
    awaits: bool

    def __str__(self) -> str:
        return f"{self.driver}-{'async-' if self.awaits else ''}{self.carrier}"


def _ways(*, queued: bool) -> list[Any]:
    sync = [
        (kind, Way(driver, each, awaits=False)) for kind, driver in SYNC_DRIVERS for each in ("session", "connection")
    ]
    carriers = ("session", "connection", "queued") if queued else ("session", "connection")
    awaiting = [(kind, Way(driver, each, awaits=True)) for kind, driver in ASYNC_DRIVERS for each in carriers]
    return [pytest.param(kind, way, id=f"{way}") for kind, way in sync + awaiting]


every_way = pytest.mark.parametrize(("database", "way"), _ways(queued=True), indirect=["database"])
"""Run a test with each driver, on a session, on a connection, and on an AsyncSession without await."""

every_asking_way = pytest.mark.parametrize(("database", "way"), _ways(queued=False), indirect=["database"])
"""The same without the last, which cannot ask the database."""


def event(name: str = "order_placed", **fields: Any) -> outbox.Event:
    """Make a plain event."""
    return outbox.Event.server(name, project_id="project", **fields)


@dataclass
class Application:
    """An application on a database, by one way."""

    database: Database
    way: Way
    options: dict[str, Any] = field(default_factory=dict)
    """For its engine."""
    configured: bool = True
    """Whether it calls `outbox.sqlite.configure`."""

    def run(self, story: Callable[[Application], Coroutine[Any, Any, Found]]) -> Found:
        """Run a story to its end, in an event loop of its own."""
        return asyncio.run(story(self))

    def engine(self) -> Engine | AsyncEngine:
        """Make an engine as the application would."""
        url = self.database.app_url(self.way.driver)
        made = (create_async_engine if self.way.awaits else create_engine)(url, **self.options)
        if self.configured:
            outbox.sqlite.configure(made)
        return made

    @asynccontextmanager
    async def work(self) -> AsyncIterator[Work]:
        """Open a session or connection; what was not committed is rolled back."""
        engine: Any = self.engine()
        target = self._target(engine)
        if self.way.carrier == "connection" and self.way.awaits:
            await target.start()
        try:
            yield Work(target, self.way)
        finally:
            await settled(target.close())
            await settled(engine.dispose())

    def _target(self, engine: Any) -> Any:
        if self.way.carrier == "connection":
            return engine.connect()
        return AsyncSession(engine) if self.way.awaits else Session(engine)


@dataclass
class Work:
    """A unit of work: the same verbs, awaited or not."""

    target: Any
    way: Way

    async def enqueue(self, what: Any, **options: Any) -> UUID:
        """Enqueue one event the way that this application does."""
        awaited = self.way.awaits and self.way.carrier != "queued"
        call: Any = outbox.enqueue_async if awaited else outbox.enqueue
        made: UUID = await settled(call(self.target, what, **options))
        return made

    async def enqueue_many(self, events: Any, **options: Any) -> list[UUID]:
        """Enqueue many events the way that this application does."""
        awaited = self.way.awaits and self.way.carrier != "queued"
        call: Any = outbox.enqueue_many_async if awaited else outbox.enqueue_many
        made: list[UUID] = await settled(call(self.target, events, **options))
        return made

    async def execute(self, statement: Any) -> Any:
        """Run a statement of the application's own."""
        return await settled(self.target.execute(statement))

    async def commit(self) -> None:
        """Commit the transaction."""
        await settled(self.target.commit())

    async def rollback(self) -> None:
        """Roll back the transaction."""
        await settled(self.target.rollback())

    async def savepoint(self) -> Savepoint:
        """Begin a savepoint."""
        return Savepoint(await settled(self.target.begin_nested()))


@dataclass
class Savepoint:
    """A savepoint of a unit of work."""

    begun: Any

    async def release(self) -> None:
        """Keep what was done in it, as far as the transaction keeps it."""
        await settled(self.begun.commit())

    async def rollback(self) -> None:
        """Undo what was done in it."""
        await settled(self.begun.rollback())


async def settled(value: Any) -> Any:
    """The value, awaited where it is to be."""
    return await value if inspect.isawaitable(value) else value


def messages(database: Database) -> list[Row[Any]]:
    """Every message that is committed, in order of their ids."""
    with database.engine.connect() as connection:
        return list(connection.execute(select(message).order_by(message.c.id)))


def ids(database: Database) -> list[UUID]:
    """The id of every message that is committed."""
    return [row.id for row in messages(database)]


def keys(database: Database) -> dict[str, UUID]:
    """The owner of every key that is committed."""
    with database.engine.connect() as connection:
        return {row.key: row.message_id for row in connection.execute(select(dedup))}
