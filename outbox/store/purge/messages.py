"""Messages that were settled long ago, with their attempts, or what is left of them: their bodies."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Select,
    Update,
    and_,
    bindparam,
    delete,
    literal_column,
    select,
    update,
)

from outbox.schema import attempt, message, utc_after
from outbox.store.purge.kept import Kept, Page, PrimaryKey, Span
from outbox.store.statements import HAS_BODY, WIPED, id_among, text_id


def find(connection: Connection, what: Kept, age: float, span: Span, size: int) -> Page:
    """Look along the ids. They rise with time, so that what is old needs no index that every settle would maintain."""
    values = {"age": -age, "after": UUID(span.after[0])}
    found = connection.execute(_look(connection.dialect.name, what, size), values).all()
    # Here, not in the statement: PostgreSQL, without statistics, takes what lies between two bounds for so little that it
    # would sort all of it for each page.
    rows = [row for row in found if row.id < span.until]
    old: list[PrimaryKey] = [(row.id,) for row in rows if row.is_old]
    return Page(old, len(rows), (rows[-1].id,) if len(rows) == size else None)


def remove(connection: Connection, what: Kept, age: float, old: Sequence[PrimaryKey]) -> int:
    """Judge again, for an operator may have sent one again meanwhile, and take away.

    A message is locked before its attempts go, as a settle locks the row before it records one.
    """
    name = connection.dialect.name
    ids = connection.execute(_lock(name, what), {"ids": [each for (each,) in old], "age": -age}).scalars().all()
    if not ids:
        return 0
    if what is Kept.BODIES:
        connection.execute(_wipe(name), {"ids": ids})
        return len(ids)
    connection.execute(_delete(name), {"ids": ids})
    connection.execute(_delete_attempts(name), {"ids": ids})
    return len(ids)


def _is_old(what: Kept) -> ColumnElement[bool]:
    state = "failed" if what is Kept.FAILED else "delivered"
    is_old = and_(message.c.state == literal_column(f"'{state}'"), message.c.settled_at < utc_after(bindparam("age")))
    return and_(is_old, HAS_BODY) if what is Kept.BODIES else is_old


@functools.cache
def _look(dialect_name: str, what: Kept, size: int) -> Select[str, bool]:
    """The size is no parameter: a plan for any number of rows might sort all that lie behind, for each page."""
    query = (
        select(text_id(dialect_name), _is_old(what).label("is_old"))
        .where(message.c.id > bindparam("after"))
        .order_by(message.c.id)
        .limit(literal_column(str(size)))
    )
    if what is not Kept.FAILED:
        return query.with_hint(message, "FORCE INDEX (PRIMARY)", "mysql")
    # Few have failed, and an index of their own has them in this order.
    of_failed = query.where(message.c.state == literal_column("'failed'"))
    return of_failed.with_hint(message, "FORCE INDEX (outbox_message_failed)", "mysql")


@functools.cache
def _lock(dialect_name: str, what: Kept) -> Select[str]:
    return (
        select(text_id(dialect_name))
        .where(id_among(dialect_name), _is_old(what))
        .with_for_update(skip_locked=True)
        # Any other index would lock the rows that it leads over.
        .with_hint(message, "FORCE INDEX (PRIMARY)", "mysql")
    )


@functools.cache
def _delete(dialect_name: str) -> Delete:
    return delete(message).where(id_among(dialect_name))


@functools.cache
def _wipe(dialect_name: str) -> Update:
    return update(message).where(id_among(dialect_name)).values(body=WIPED)


@functools.cache
def _delete_attempts(dialect_name: str) -> Delete:
    return delete(attempt).where(id_among(dialect_name, attempt.c.message_id))
