"""Which workers are alive, as far as the database has heard of them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from outbox.schema import utc_after, worker

ALIVE_SECONDS = 35.0
"""Workers say every 10 s that they are alive."""


class Alive(NamedTuple):
    """A worker that was heard of in the last 35 s. One that was killed is among them for as long."""

    host: str
    pid: int
    version: str
    """Of the outbox that it runs."""
    seen_at: datetime


def alive(connection: Connection) -> list[Alive]:
    """The workers that are alive, by host and process."""
    columns = worker.c
    query = select(*(columns[name] for name in Alive._fields)).where(columns.seen_at > utc_after(-ALIVE_SECONDS))
    return [Alive(*row) for row in connection.execute(query.order_by(columns.host, columns.pid))]
