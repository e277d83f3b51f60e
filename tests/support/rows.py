"""Rows for tests of the store: put some in, look at one, let a lease expire."""

from __future__ import annotations

from contextlib import closing
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from outbox.clock import lease_clock
from outbox.message import Attempt, Certainty, Message
from outbox.producer.ids import uuid7
from outbox.schema import attempt, message, utc_after
from outbox.store import Choice, Store
from support.databases import Database

LEASE = 60.0


def put(database: Database, count: int = 1, **values: Any) -> list[str]:
    """Insert messages, each due a little after the one before, the last a second ago."""
    ids = [str(uuid7()) for _ in range(count)]
    with database.engine.begin() as connection:
        for place, each in enumerate(ids):
            row = {"destination": "overcentric", "name": "thing_done", "body": "{}", "due_at": utc_after(place - count)}
            connection.execute(insert(message).values(id=UUID(each), **row | values))
    return ids


def look(database: Database, identity: str) -> Any:
    """Give a message's row."""
    with database.engine.connect() as connection:
        return connection.execute(select(message).where(message.c.id == UUID(identity))).one()


def attempts(database: Database, identity: str) -> list[Any]:
    """Give a message's attempts, oldest first."""
    query = select(attempt).where(attempt.c.message_id == UUID(identity)).order_by(attempt.c.id)
    with database.engine.connect() as connection:
        return list(connection.execute(query))


def expire(database: Database) -> None:
    """Let every lease that is held now have ended a second ago."""
    held = message.c.claimed_until.is_not(None)
    with database.engine.begin() as connection:
        connection.execute(update(message).where(held).values(claimed_until=utc_after(-1)))


def claim(database: Database, limit: int = 10, *, choice: Choice = Choice.ANY, free: int = 10) -> list[Message]:
    """Claim as a worker of its own would."""
    with closing(Store(database.engine)) as store:
        return list(store.claim("overcentric", choice, limit=limit, free=free, lease=LEASE).messages)


def an_attempt(**changes: Any) -> Attempt:
    """Give the record of an attempt that met a 500."""
    values = {"began": lease_clock(), "duration": 0.25, "tries": 2, "certainty": Certainty.UNKNOWN} | {
        "error": "HTTP 500",
        "status": 500,
        "response": "oops",
    }
    return Attempt(**values | changes)  # type: ignore[arg-type]
