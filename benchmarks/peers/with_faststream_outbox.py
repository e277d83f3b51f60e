"""faststream-outbox: https://github.com/modern-python/faststream-outbox."""

from __future__ import annotations

import logging
from typing import Any

from faststream.message import StreamMessage
from faststream_outbox import OutboxBroker, make_outbox_table
from sqlalchemy import MetaData, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from peers.driving import Peer, Run, main

# Good ones of what `make bench ARGS="sweep --only faststream-outbox-aiohttp"` tries, one at a time; from a busy machine, to be swept again.
BEST = {
    "max_workers": 16,
    "fetch_batch_size": 500,
    "terminal_flush_batch_size": 50,
    "apply_types": False,
    "in_flight": 100,
}
SWEEP: list[dict[str, Any]] = [
    *({"max_workers": many} for many in (8, 16, 32, 64, 128)),
    *({"fetch_batch_size": size} for size in (100, 250, 500, 1000, 2000)),
    *({"terminal_flush_batch_size": size} for size in (1, 10, 50, 100)),
    {"apply_types": True},
]

metadata = MetaData()
table = make_outbox_table(metadata)


def _engine(database: str, **options: Any) -> AsyncEngine:
    return create_async_engine(database.replace("postgresql://", "postgresql+asyncpg://"), **options)


async def enqueue(database: str, body: bytes, events: int) -> None:
    """Create the table and publish the messages, a thousand at once."""
    engine = _engine(database)
    broker = OutboxBroker(engine, outbox_table=table)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await broker.connect()
    for start in range(0, events, 1000):
        async with engine.begin() as connection:
            await broker.publish_batch(*[body] * min(1000, events - start), queue="events", session=connection)
    await engine.dispose()


async def _as_it_is(message: StreamMessage[Any]) -> bytes:
    """Without a decoder the body would be parsed as JSON, and would have to be written again for the POST."""
    return message.body if isinstance(message.body, bytes) else b""


async def drain(run: Run) -> None:
    """Run one broker with one subscriber, which deletes each message that its handler has processed."""
    settings = run.settings
    engine = _engine(run.database, pool_size=settings["max_workers"] + 4, max_overflow=4)
    broker = OutboxBroker(
        engine, outbox_table=table, apply_types=settings["apply_types"], logger=None, log_level=logging.WARNING
    )

    async def handle(body: bytes) -> None:
        await run.handle(body)

    names = ("max_workers", "fetch_batch_size", "terminal_flush_batch_size")
    broker.subscriber("events", decoder=_as_it_is, min_fetch_interval=0.01, **{name: settings[name] for name in names})(
        handle
    )

    async def left() -> int:
        async with engine.connect() as connection:
            return int(await connection.scalar(select(func.count()).select_from(table)) or 0)

    await broker.start()
    await run.until_empty(left)
    await broker.stop()
    await engine.dispose()


if __name__ == "__main__":
    main(Peer(enqueue, drain, BEST, SWEEP))
