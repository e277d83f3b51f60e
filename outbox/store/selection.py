"""A set of messages, found along the primary key a page at a time, for what is done to many at once."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, and_, case, literal_column, select

from outbox.message import State
from outbox.schema import message, utc_now
from outbox.store.look import Filters
from outbox.store.look.listing import BY_STATE_AND_ID
from outbox.store.statements import text_id

PAGE = 500
"""Messages that are looked at in one statement, and changed in one transaction: nobody waits long for what it holds."""

_FIRST = UUID(int=0)


class Page(NamedTuple):
    """What one step along the primary key found."""

    ids: list[str]
    """The messages that match."""
    looked: int
    """Messages that were looked at."""
    reached: str | None
    """The last id looked at; None at the end."""


def moment(connection: Connection) -> datetime:
    """The database's clock: what bounds a set that is worked through."""
    now: datetime = connection.execute(select(utc_now())).scalar_one()
    return now


def select_page(connection: Connection, filters: Filters, after: str | None = None) -> Page:
    """Look at the next page behind the id `after`, and lock nothing. Whoever changes what it found judges again.

    What the filters do not take is looked at, too: a statement that went on until it has a page of what they take
    might read the whole table. Failed messages have an index in the order of ids; others are looked at with all.
    """
    name = connection.dialect.name
    matches = case((and_(*filters.conditions(name)), literal_column("1")), else_=literal_column("0"))
    query = select(text_id(name), matches.label("matches")).where(message.c.id > (UUID(after) if after else _FIRST))
    if filters.state is State.FAILED:
        query = query.where(message.c.state == literal_column("'failed'")).with_hint(message, BY_STATE_AND_ID, "mysql")
    rows = connection.execute(query.order_by(message.c.id).limit(literal_column(str(PAGE)))).all()
    return Page([row.id for row in rows if row.matches], len(rows), rows[-1].id if len(rows) == PAGE else None)
