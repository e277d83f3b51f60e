"""Failed messages counted by their cause."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Text, cast, func, select, type_coerce

from outbox.schema import message
from outbox.schema.types import Uuid
from outbox.store.look.filters import Filters


class Grouping(StrEnum):
    """What messages are grouped by."""

    ERROR = "error"
    NAME = "name"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Group:
    """Messages with one cause."""

    value: str | int | None
    count: int
    first_settled_at: datetime | None
    last_settled_at: datetime | None
    sample_id: UUID
    """The newest of them."""


_COLUMNS: dict[Grouping, ColumnElement[Any]] = {
    Grouping.ERROR: message.c.last_error,
    Grouping.NAME: message.c.name,
    Grouping.STATUS: message.c.last_status,
}


def groups(connection: Connection, filters: Filters, by: Grouping, *, limit: int | None = None) -> list[Group]:
    """Counts by cause, the most frequent first."""
    dialect_name = connection.dialect.name
    column, count = _COLUMNS[by], func.count()
    query = (
        select(column, count, func.min(message.c.settled_at), func.max(message.c.settled_at), _newest(dialect_name))
        .where(*filters.conditions(dialect_name))
        .group_by(column)
        .order_by(count.desc(), column)
        .limit(limit)
    )
    with connection.begin():
        return [Group(*row) for row in connection.execute(query)]


def _newest(dialect_name: str) -> ColumnElement[UUID]:
    # PostgreSQL has max(uuid) since version 18; as text they sort the same.
    column: ColumnElement[Any] = message.c.id
    return type_coerce(func.max(cast(column, Text) if dialect_name == "postgresql" else column), Uuid())
