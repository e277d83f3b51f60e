"""Messages counted by their cause, or by the day on which they failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, Text, cast, func, select, type_coerce

from outbox.schema import message
from outbox.schema.types import Uuid
from outbox.store.look.filters import Filters
from outbox.store.look.fingerprint import fingerprint
from outbox.store.look.listing import BY_STATE_AND_ID

STEP = 10_000
"""Messages counted by one statement, which is a transaction of its own: as many texts are in memory at most."""

MOST = 10_000
"""Different values that are told apart: what they are in memory is bounded, too."""

OTHERS = "(others)"
"""The value that stands for all beyond `MOST`."""


class Grouping(StrEnum):
    """What messages are grouped by."""

    ERROR = "error"
    """The last error's fingerprint."""
    NAME = "name"
    STATUS = "status"
    DAY = "day"
    """The day of `settled_at`, in UTC."""


@dataclass(slots=True)
class Group:
    """Messages with one cause."""

    value: str | int | None
    count: int
    first_settled_at: datetime | None
    last_settled_at: datetime | None
    sample_id: UUID
    """The newest of them."""


def groups(
    connection: Connection, filters: Filters, by: Grouping, *, limit: int | None = None, newest: int | None = None
) -> list[Group]:
    """Counts by cause, the most frequent first; by day, the last day first.

    `newest` looks at no more than so many messages. They are counted by descending id, a step at a time: no
    transaction is long, and a message that changes meanwhile is counted once at most.
    """
    found: dict[str | int | None, Group] = {}
    left, after = newest, None
    while left is None or left > 0:
        size = STEP if left is None else min(STEP, left)
        with connection.begin():
            rows = connection.execute(_step(connection.dialect.name, filters, by, after, size)).all()
        _add(found, by, rows)
        looked = sum(row.number for row in rows)
        if looked < size:
            break
        after, left = min(row.oldest for row in rows), None if left is None else left - looked
    return _ordered(found.values(), by)[:limit]


def _step(dialect_name: str, filters: Filters, by: Grouping, after: UUID | None, size: int) -> Select[Any]:
    column = message.c.id
    query = select(_value(dialect_name, by).label("value"), message.c.settled_at, column)
    query = query.where(*filters.conditions(dialect_name)).order_by(column.desc()).limit(size)
    if filters.state is not None:
        query = query.with_hint(message, BY_STATE_AND_ID, "mysql")
    step = (query if after is None else query.where(column < after)).subquery("step")
    settled = step.c.settled_at
    return select(
        step.c.value,
        func.count().label("number"),
        func.min(settled),
        func.max(settled),
        _end(dialect_name, step.c.id, func.max),
        _end(dialect_name, step.c.id, func.min).label("oldest"),
    ).group_by(step.c.value)


def _value(dialect_name: str, by: Grouping) -> ColumnElement[Any]:
    columns = message.c
    if by is Grouping.DAY:
        return _DAYS[dialect_name](columns.settled_at)
    return {Grouping.ERROR: columns.last_error, Grouping.NAME: columns.name, Grouping.STATUS: columns.last_status}[by]


_DAYS: dict[str, Callable[[ColumnElement[Any]], ColumnElement[Any]]] = {
    "sqlite": lambda column: func.substr(column, 1, 10, type_=Text()),
    "postgresql": lambda column: func.to_char(func.timezone("UTC", column), "YYYY-MM-DD", type_=Text()),
    "mysql": lambda column: func.date_format(column, "%Y-%m-%d", type_=Text()),
}


def _end(dialect_name: str, column: ColumnElement[Any], end: Any) -> ColumnElement[UUID]:
    # PostgreSQL has max(uuid) since version 18; as text they sort the same.
    return type_coerce(end(cast(column, Text) if dialect_name == "postgresql" else column), Uuid())


def _add(found: dict[str | int | None, Group], by: Grouping, rows: Iterable[Any]) -> None:
    """Add a step's counts; its messages are older than those of the steps before."""
    for value, count, first, last, newest, _ in rows:
        key = fingerprint(value) if by is Grouping.ERROR and value is not None else value
        if key not in found and len(found) >= MOST:
            key = OTHERS
        group = found.get(key)
        if group is None:
            found[key] = Group(key, count, first, last, newest)
        else:
            group.count += count
            group.first_settled_at = _of(min, group.first_settled_at, first)
            group.last_settled_at = _of(max, group.last_settled_at, last)
            group.sample_id = max(group.sample_id, newest)


def _of(end: Any, *moments: datetime | None) -> datetime | None:
    return end((each for each in moments if each is not None), default=None)  # type: ignore[no-any-return]


def _ordered(found: Iterable[Group], by: Grouping) -> list[Group]:
    if by is Grouping.DAY:
        return sorted(found, key=lambda group: str(group.value), reverse=True)
    return sorted(found, key=lambda group: (-group.count, str(group.value)))
