"""What is left to do at a destination: how a draining worker knows that it is done."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from sqlalchemy import Connection, Select, bindparam, case, exists, func, select

from outbox.schema import destination, message, utc_now
from outbox.store.statements import IS_DUE, IS_FREE, IS_PENDING, IS_UNKEYED


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is due at a destination, claimed or not."""

    due: int
    """Messages that could be claimed now, were the destination not paused."""
    leased: int
    """Messages that a worker holds."""
    paused: bool


def waiting(connection: Connection, name: str) -> Waiting:
    """Count what is due. Messages that wait for a later attempt do not count."""
    row = connection.execute(_count(), {"destination": name}).one()
    return Waiting(row.due, row.total - row.due, bool(row.paused))


def is_anything_due(connection: Connection, name: str) -> bool:
    """Whether a claim would find anything. Takes no lock."""
    return bool(connection.execute(_look(), {"destination": name}).scalar())


@functools.cache
def _look() -> Select[bool]:
    due = message.c.destination == bindparam("destination"), IS_PENDING, IS_UNKEYED, IS_DUE, IS_FREE
    return select(exists().where(*due))


@functools.cache
def _count() -> Select[int, int, bool]:
    paused = exists().where(destination.c.name == bindparam("destination"), destination.c.paused_until > utc_now())
    return select(
        func.count(case((IS_FREE, 1))).label("due"), func.count().label("total"), paused.label("paused")
    ).where(message.c.destination == bindparam("destination"), IS_PENDING, IS_UNKEYED, IS_DUE)
