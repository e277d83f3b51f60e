"""Messages as a list: newest first, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select

from outbox.schema import message, utc_now
from outbox.store.look.filters import Filters

PAGE = 1000
"""Messages read at once."""

BY_STATE_AND_ID = "FORCE INDEX (outbox_message_failed)"
"""A hint. MariaDB would look the state up in this index and then walk over all pages before: 51,000 entries read for the
51st thousand, 1,000 with the hint (measured)."""


class Summary(NamedTuple):
    """A message without its body: the fields of `outbox list --json`."""

    id: UUID
    destination: str
    name: str
    state: str
    attempts: int
    created_at: datetime
    due_at: datetime
    settled_at: datetime | None
    failure_reason: str | None
    last_status: int | None
    last_error: str | None


SUMMARY_COLUMNS = tuple(message.c[name] for name in Summary._fields)


def pages(
    connection: Connection, filters: Filters, *, after: UUID | None = None, limit: int | None = None
) -> Iterator[list[Summary]]:
    """Messages by descending id, which is newest first, in pages of at most `PAGE`.

    `after` continues behind that id, whether or not the message is still there. Each page is a transaction of its
    own: a slow reader holds no snapshot, and on SQLite keeps no writer waiting. A message that changes meanwhile
    shows in the state it has when its page is read; none shows twice.
    """
    column = message.c.id
    query = select(*SUMMARY_COLUMNS).where(*filters.conditions(connection.dialect.name)).order_by(column.desc())
    if filters.state is not None:
        query = query.with_hint(message, BY_STATE_AND_ID, "mysql")
    left = limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        with connection.begin():
            behind = query if after is None else query.where(column < after)
            page = [Summary(*row) for row in connection.execute(behind.limit(size))]
        if page:
            yield page
        if len(page) < size:
            return
        after, left = page[-1].id, None if left is None else left - len(page)


def database_now(connection: Connection) -> datetime:
    """The database's clock, from which ages are told."""
    with connection.begin():
        return now_in_transaction(connection)


def now_in_transaction(connection: Connection) -> datetime:
    """The same where a transaction has begun."""
    now: datetime = connection.execute(select(utc_now())).scalar_one()
    return now
