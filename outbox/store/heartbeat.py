"""Who is alive, for people to see. Recovery never depends on it: an expired claim is simply claimable again."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, insert, update

from outbox.schema import utc_after, utc_now, worker

_FORGOTTEN = 86_400.0

_beat = update(worker).where(worker.c.id == bindparam("worker")).values(seen_at=utc_now())
_forget = delete(worker).where(worker.c.seen_at < utc_after(-_FORGOTTEN))


def heartbeat(connection: Connection, identity: UUID, host: str, pid: int, version: str) -> None:
    """Say that this worker is alive; forget those that have been silent for a day."""
    if connection.execute(_beat, {"worker": identity}).rowcount == 0:
        connection.execute(_forget)
        connection.execute(insert(worker).values(id=identity, host=host[:255], pid=pid, version=version))


def farewell(connection: Connection, identity: UUID) -> None:
    """Take this worker off the list."""
    connection.execute(delete(worker).where(worker.c.id == identity))
