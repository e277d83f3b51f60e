"""Rows of long ago, keys against duplicates, and a worker that purges at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, insert, select

from outbox.delivery import Delivery
from outbox.policy import Policy
from outbox.producer.ids import uuid7
from outbox.schema import dedup, utc_after
from outbox.settings import Settings
from outbox.store import Store
from outbox.worker import Mode, Worker
from support.commands import add
from support.databases import Database
from support.waiting import eventually

DAY = 86400.0


def id_from(days: float) -> UUID:
    """Make an id as a process made it so many days ago."""
    return UUID(int=uuid7().int - (int(days * DAY * 1000) << 80))


def settled(database: Database, days: float, state: str = "delivered", **values: Any) -> UUID:
    """Add a message that was made, and settled, so many days ago."""
    row = {"id": id_from(days), "state": state, "settled_at": utc_after(-days * DAY)}
    return add(database, **row | values)


def add_key(database: Database, key: str, owner: UUID, days: float = 0.0) -> None:
    """Add a key against duplicates that was made so many days ago."""
    row = {"destination": "overcentric", "key": key, "message_id": owner, "created_at": utc_after(-days * DAY)}
    with database.engine.begin() as connection:
        connection.execute(insert(dedup).values(**row))


def keys(database: Database) -> set[str]:
    """Every key against duplicates."""
    with database.engine.connect() as connection:
        return set(connection.execute(select(dedup.c.key)).scalars())


@asynccontextmanager
async def working(
    engine: Engine, endpoint: str, mode: Mode = Mode.FOREVER, **settings: Any
) -> AsyncIterator[asyncio.Task[None]]:
    """Run a worker in this process until the block ends; it must end well, and at once."""
    told = Settings(endpoint=endpoint, **settings)
    store = Store(engine, wipes=told.keep_body == 0)
    worker = Worker(store, Delivery(told, Policy.of(told)), told, mode)
    running = asyncio.create_task(worker.run())
    try:
        yield running
    finally:
        worker.stop()
        await asyncio.wait_for(running, 5)


def work_until(
    database: Database, endpoint: str, condition: Callable[[], object], engine: Engine | None = None, **settings: Any
) -> None:
    """Run a worker until something has come true."""

    async def story() -> None:
        async with working(engine or database.engine, endpoint, **settings):
            await asyncio.to_thread(eventually, condition)

    asyncio.run(story())
