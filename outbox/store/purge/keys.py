"""Keys against duplicates: they outlive their messages, for a time of their own."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    literal_column,
    or_,
    select,
    tuple_,
)

from outbox.schema import dedup, message, utc_after
from outbox.store.purge.kept import Page, PrimaryKey
from outbox.store.statements import IS_PENDING, id_among, text_id

_IS_OLD: ColumnElement[bool] = dedup.c.created_at < utc_after(bindparam("age"))
_OWNER_IS_PENDING = exists().where(message.c.id == dedup.c.message_id, IS_PENDING)
_AMONG = (dedup.c.destination == bindparam("destination"), dedup.c.key.in_(bindparam("keys", expanding=True)))


def find(connection: Connection, age: float, after: PrimaryKey, size: int) -> Page:
    """Look along the keys. They do not rise with time: a walk sees all of them."""
    destination, key = after
    values = {"age": -age, "after_destination": destination, "after_key": key}
    rows = connection.execute(_look(connection.dialect.name, size), values).all()
    old: list[PrimaryKey] = [(row.destination, row.key) for row in rows if row.is_old]
    return Page(old, len(rows), (rows[-1].destination, rows[-1].key) if len(rows) == size else None)


def remove(connection: Connection, age: float, old: Sequence[PrimaryKey]) -> int:
    """Take away the keys that are still so old and whose messages are not pending."""
    return sum(_remove(connection, age, each, [key for _, key in some]) for each, some in by_destination(old))


def by_destination(rows: Sequence[PrimaryKey]) -> list[tuple[str, list[PrimaryKey]]]:
    """The rows of each destination."""
    return [(name, [*some]) for name, some in itertools.groupby(sorted(rows), key=itemgetter(0))]


def delete_keys(connection: Connection, destination: str, keys: Sequence[str]) -> None:
    """Delete keys of one destination."""
    connection.execute(_DELETE, {"destination": destination, "keys": keys})


def _remove(connection: Connection, age: float, destination: str, keys: Sequence[str]) -> int:
    rows = connection.execute(_LOCK, {"destination": destination, "keys": keys, "age": -age}).all()
    # A look of its own: as part of the locking read it would lock the messages, too.
    owners = {"ids": [str(row.message_id) for row in rows]}
    pending = set(connection.execute(_pending(connection.dialect.name), owners).scalars())
    if idle := [row.key for row in rows if str(row.message_id) not in pending]:
        delete_keys(connection, destination, idle)
    return len(idle)


@functools.cache
def _look(dialect_name: str, size: int) -> Select[Any]:
    columns = (dedup.c.destination, dedup.c.key)
    is_old = and_(_IS_OLD, ~_OWNER_IS_PENDING).label("is_old")
    return (
        select(*columns, is_old)
        .where(is_behind(dialect_name))
        .order_by(*columns)
        .limit(literal_column(str(size)))
        .with_hint(dedup, "FORCE INDEX (PRIMARY)", "mysql")
    )


def is_behind(dialect_name: str) -> ColumnElement[bool]:
    """Behind the place bound as `after_destination` and `after_key`, so that the primary key is entered there."""
    destination = bindparam("after_destination", type_=dedup.c.destination.type)
    key = bindparam("after_key", type_=dedup.c.key.type)
    if dialect_name == "mysql":  # which reads the whole index for a comparison of rows
        same = and_(dedup.c.destination == destination, dedup.c.key > key)
        return or_(dedup.c.destination > destination, same)
    return tuple_(dedup.c.destination, dedup.c.key) > tuple_(destination, key)


_LOCK = select(dedup.c.key, dedup.c.message_id).where(*_AMONG, _IS_OLD).with_for_update(skip_locked=True)
_DELETE: Delete = delete(dedup).where(*_AMONG)


@functools.cache
def _pending(dialect_name: str) -> Select[str]:
    return select(text_id(dialect_name)).where(id_among(dialect_name), IS_PENDING)
