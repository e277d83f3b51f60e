"""Who is alive, for people to see. Recovery never depends on it: an expired claim is simply claimable again."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, insert, update

from outbox.schema import ERROR_LENGTH, utc_after, utc_now, worker
from outbox.store.statements import fit

_FORGOTTEN = 86_400.0

_beat = (
    update(worker).where(worker.c.id == bindparam("worker")).values(seen_at=utc_now(), trouble=bindparam("waits_for"))
)
_forget = delete(worker).where(worker.c.seen_at < utc_after(-_FORGOTTEN))


def heartbeat(
    connection: Connection, identity: UUID, host: str, pid: int, version: str, *, trouble: str | None = None
) -> None:
    """Say that this worker is alive, and what it waits for on its own; forget those that have been silent for a day."""
    text = None if trouble is None else fit(trouble, ERROR_LENGTH)
    if connection.execute(_beat, {"worker": identity, "waits_for": text}).rowcount == 0:
        connection.execute(_forget)
        values = {"host": host[:255], "pid": pid, "version": version, "trouble": text}
        connection.execute(insert(worker).values(id=identity, **values))


def farewell(connection: Connection, identity: UUID) -> None:
    """Take this worker off the list."""
    connection.execute(delete(worker).where(worker.c.id == identity))
