"""The workers that live, as their heartbeats tell. Nothing depends on it: it is for people to see."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, select

from outbox.schema import utc_after, worker

ALIVE_SECONDS = 35.0
"""Workers say every 10 s that they are alive."""


class Worker(NamedTuple):
    """A worker process."""

    host: str
    pid: int
    version: str
    started_at: datetime
    seen_at: datetime
    trouble: str | None
    """What it waits for on its own, while others may work."""


class Trouble(NamedTuple):
    """What a living worker waits for."""

    host: str
    pid: int
    seen_at: datetime
    trouble: str


_COLUMNS = tuple(worker.c[name] for name in Worker._fields)


def living(connection: Connection) -> list[Worker]:
    """Those that were seen lately, by host and process."""
    return [Worker(*row) for row in connection.execute(_living())]


def troubles(workers: Iterable[Worker]) -> list[Trouble]:
    """What those of the workers that have one wait for."""
    return [Trouble(each.host, each.pid, each.seen_at, each.trouble) for each in workers if each.trouble is not None]


def last_seen(connection: Connection) -> Worker | None:
    """The one that was seen last. Those that ended as they should have left no trace."""
    row = connection.execute(select(*_COLUMNS).order_by(worker.c.seen_at.desc()).limit(1)).one_or_none()
    return None if row is None else Worker(*row)


def count_living(connection: Connection) -> int:
    """How many there are."""
    return connection.execute(select(func.count()).select_from(worker).where(_is_alive())).scalar_one()


@functools.cache
def _living() -> Select[Any]:
    return select(*_COLUMNS).where(_is_alive()).order_by(worker.c.host, worker.c.pid)


def _is_alive() -> Any:
    return worker.c.seen_at > utc_after(-ALIVE_SECONDS)
