"""Where a scan of the due messages has come to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Label, Row, String, and_, bindparam, cast, or_, tuple_, type_coerce
from sqlalchemy.types import NullType

from outbox.schema import message
from outbox.schema.types import UtcDateTime, Uuid

_FIRST = UUID(int=0)


class Position(NamedTuple):
    """A place in the order in which messages are claimed: by `due_at`, then by `id`."""

    due_at: datetime
    id: UUID

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """The place of a row selected with `text_id` and `raw_due`."""
        due = row.due if isinstance(row.due, datetime) else datetime.fromisoformat(row.due)
        return cls(due.replace(tzinfo=UTC) if due.tzinfo is None else due.astimezone(UTC), UUID(row.id))

    def earlier(self, seconds: float) -> Self:
        """The place before all that was due at most so many seconds earlier."""
        return type(self)(self.due_at - timedelta(seconds=seconds), _FIRST)


def raw_due(dialect_name: str) -> Label[Any]:
    """`due_at` as the driver has it: only a claim's last row's is looked at."""
    column = message.c.due_at
    return (cast(column, String(26)) if dialect_name == "mysql" else type_coerce(column, NullType())).label("due")


def is_behind(dialect_name: str, after_due: str = "after_due", after_id: str = "after_id") -> ColumnElement[bool]:
    """Behind the position bound by these names, so that the index is entered there."""
    due, identity = bindparam(after_due, type_=UtcDateTime()), bindparam(after_id, type_=Uuid())
    columns = message.c
    if dialect_name == "mysql":
        # MariaDB reads the whole index for a comparison of rows: 172,898 entries, 99 written out (measured).
        return or_(columns.due_at > due, and_(columns.due_at == due, columns.id > identity))
    return tuple_(columns.due_at, columns.id) > tuple_(due, identity)
