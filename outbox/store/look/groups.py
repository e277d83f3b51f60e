"""Messages counted by their cause, or by the day on which they failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Dialect, Select, Text, cast, func, select, type_coerce
from sqlalchemy.types import NullType

from outbox.schema import message
from outbox.schema.types import UtcDateTime, Uuid
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


@dataclass(frozen=True, slots=True)
class Group:
    """Messages with one cause."""

    value: str | int | None
    count: int
    first_settled_at: datetime | None
    last_settled_at: datetime | None
    sample_id: UUID
    """The newest of them."""


@dataclass(slots=True)
class _Tally:
    """What has been counted of a cause, as the driver has it: texts and bytes that are read once sort alike."""

    count: int
    first: Any
    last: Any
    newest: Any

    def add(self, count: int, first: Any, last: Any, newest: Any) -> None:
        """Add more."""
        self.count += count
        if self.first is None or (first is not None and first < self.first):
            self.first = first
        if self.last is None or (last is not None and last > self.last):
            self.last = last
        self.newest = max(self.newest, newest)

    def group(self, value: str | int | None, dialect: Dialect) -> Group:
        """Read it."""
        first, last = (_MOMENT.process_result_value(each, dialect) for each in (self.first, self.last))
        return Group(value, self.count, first, last, _read_id(self.newest, dialect))


_Tallies: TypeAlias = dict[str | int | None, _Tally]


def groups(
    connection: Connection, filters: Filters, by: Grouping, *, limit: int | None = None, newest: int | None = None
) -> list[Group]:
    """Counts by cause, the most frequent first; by day, the last day first.

    `newest` looks at no more than so many messages. They are counted by descending id, a step at a time: no
    transaction is long, and a message that changes meanwhile is counted once at most.
    """
    found: _Tallies = {}
    left, after = newest, None
    while left is None or left > 0:
        size = STEP if left is None else min(STEP, left)
        with connection.begin():
            rows = connection.execute(_step(connection.dialect.name, filters, by, after, size)).all()
        _add(found, by, rows)
        looked = sum(row.number for row in rows)
        if looked < size:
            break
        after = _read_id(min(row.oldest for row in rows), connection.dialect)
        left = None if left is None else left - looked
    return _ordered((tally.group(value, connection.dialect) for value, tally in found.items()), by)[:limit]


def _step(dialect_name: str, filters: Filters, by: Grouping, after: UUID | None, size: int) -> Select[Any]:
    column = message.c.id
    query = select(_value(dialect_name, by).label("value"), message.c.settled_at, column)
    query = query.where(*filters.conditions(dialect_name)).order_by(column.desc()).limit(size)
    if filters.state is not None:
        query = query.with_hint(message, BY_STATE_AND_ID, "mysql")
    step = (query if after is None else query.where(column < after)).subquery("step")
    settled: list[ColumnElement[Any]] = [func.min(step.c.settled_at), func.max(step.c.settled_at)]
    if dialect_name == "mysql":  # PyMySQL reads times slowly: a quarter of all (measured)
        settled = [func.date_format(end, "%Y-%m-%dT%H:%i:%s.%fZ") for end in settled]
    # PostgreSQL has max(uuid) since version 18; as text they sort the same.
    identity: ColumnElement[Any] = cast(step.c.id, Text) if dialect_name == "postgresql" else step.c.id
    ends = (*settled, func.max(identity), func.min(identity))
    first, last, newest, oldest = (type_coerce(end, NullType()) for end in ends)
    query = select(step.c.value, func.count().label("number"), first, last, newest, oldest.label("oldest"))
    # Many values make MariaDB spill its temporary table to the disk: sorting takes half of the time (measured).
    return query.group_by(step.c.value).prefix_with("SQL_BIG_RESULT", dialect="mysql")


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


_MOMENT, _ID = UtcDateTime(), Uuid()


def _read_id(value: Any, dialect: Dialect) -> UUID:
    return _ID.process_result_value(value, dialect)  # type: ignore[return-value]  # an id is never null


def _add(found: _Tallies, by: Grouping, rows: Iterable[Any]) -> None:
    """Add a step's counts."""
    for value, count, first, last, newest, _ in rows:
        key = fingerprint(value) if by is Grouping.ERROR and value is not None else value
        if key not in found and len(found) >= MOST:
            key = OTHERS
        if (tally := found.get(key)) is None:
            found[key] = _Tally(count, first, last, newest)
        else:
            tally.add(count, first, last, newest)


def _ordered(found: Iterable[Group], by: Grouping) -> list[Group]:
    if by is Grouping.DAY:
        return sorted(found, key=lambda group: str(group.value), reverse=True)
    return sorted(found, key=lambda group: (-group.count, str(group.value)))
