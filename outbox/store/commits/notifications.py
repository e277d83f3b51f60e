"""PostgreSQL: the producer's NOTIFY, on a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from outbox.schema import CHANNEL
from outbox.store.commits.readable import Lost, NotThere, readable
from outbox.store.engine import CONNECT_SECONDS, connect_options

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    Connection = AsyncConnection[tuple[Any, ...]]


async def notifications(engine: Engine) -> AsyncGenerator[None]:
    """Yield when notifications have arrived, however many."""
    psycopg: Any = engine.dialect.loaded_dbapi  # not imported here: it is there where the database is PostgreSQL
    try:
        async with _listening(engine) as connection:
            while True:
                yield
                while not _have_arrived(connection):
                    await readable(connection.fileno())
    except (psycopg.Error, OSError, TimeoutError) as error:
        raise Lost(str(error).partition("\n")[0] or type(error).__name__) from error


@asynccontextmanager
async def _listening(engine: Engine) -> AsyncIterator[Connection]:
    async with asyncio.timeout(CONNECT_SECONDS):
        connection = await _connect(engine)
        try:
            await _listen(connection)
        except BaseException:
            await connection.close()
            raise
    try:
        yield connection
    finally:
        await connection.close()


async def _connect(engine: Engine) -> Connection:
    """Connect. Who is cancelled meanwhile leaves no connection behind.

    Cancelled itself, psycopg's `connect` keeps its socket open for as long as anybody remembers the error: it may be the
    only connection that the worker may have. So it goes on to its end, and what it has opened is closed then.
    """
    psycopg: Any = engine.dialect.loaded_dbapi
    connecting: asyncio.Task[Connection] = asyncio.create_task(
        psycopg.AsyncConnection.connect(**connect_options(engine), autocommit=True)
    )
    try:
        await asyncio.wait([connecting])
    except asyncio.CancelledError:
        connecting.add_done_callback(_close)
        raise
    return connecting.result()


def _close(connecting: asyncio.Task[Connection]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().pgconn.finish()


async def _listen(connection: Connection) -> None:
    """Listen, but not through a transaction pooler: the session that listens would be somebody else's next."""
    found = await (await connection.execute("SELECT pg_backend_pid()", prepare=False)).fetchone()
    if found is None or found[0] != connection.info.backend_pid:
        msg = "a transaction pooler stands before PostgreSQL, through which nobody can LISTEN"
        raise NotThere(msg)
    await connection.execute(f"LISTEN {CHANNEL}".encode(), prepare=False)


def _have_arrived(connection: Connection) -> bool:
    """Take in what has arrived."""
    connection.pgconn.consume_input()
    count = 0
    while connection.pgconn.notifies() is not None:
        count += 1
    return count > 0
