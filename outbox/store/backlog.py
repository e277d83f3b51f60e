"""How much is due, for people to see: counted no further than they want to know."""

from __future__ import annotations

import functools
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal_column, or_, select
from sqlalchemy.sql.selectable import ScalarSelect

from outbox.schema import message, utc_now
from outbox.store.statements import IS_DUE, IS_FREE, IS_PENDING, IS_UNKEYED, OF_DESTINATION

BACKLOG_MOST = 1000
"""Messages of each kind, with a key and without, up to which they are counted: at most a few milliseconds."""


def backlog(connection: Connection, name: str) -> int:
    """Count what is due at a destination and held by no worker. From `BACKLOG_MOST` on it is that or more."""
    return int(connection.execute(_count(), {"destination": name}).scalar_one())


@functools.cache
def _count() -> Select[int]:
    return select(_plain() + _keyed())


def _plain() -> ScalarSelect[int]:
    columns = message.c
    due = _first("pending", (IS_UNKEYED, IS_DUE, IS_FREE), (columns.due_at, columns.id)).subquery("plain")
    return select(func.count()).select_from(due).scalar_subquery()


def _keyed() -> ScalarSelect[int]:
    """Of the first keys: their index does not know what is due, and all of them may wait for later attempts."""
    first = _first("keyed", (~IS_UNKEYED,), (message.c.ordering_key,)).subquery("keyed")
    is_due = and_(first.c.due_at <= utc_now(), or_(first.c.claimed_until.is_(None), first.c.claimed_until <= utc_now()))
    return select(func.count(case((is_due, 1)))).select_from(first).scalar_subquery()


def _first(index: str, conditions: tuple[ColumnElement[bool], ...], order: tuple[Any, ...]) -> Select[Any]:
    return (
        select(message.c.due_at, message.c.claimed_until)
        .where(OF_DESTINATION, IS_PENDING, *conditions)
        .order_by(*order)
        .limit(literal_column(str(BACKLOG_MOST)))
        .with_hint(message, f"FORCE INDEX (outbox_message_{index})", "mysql")
    )
