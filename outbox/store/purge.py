"""Purge: remove what was settled long ago, a page of the primary key at a time."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Delete, Select, and_, bindparam, delete, literal_column, select

from outbox.message import State
from outbox.schema import attempt, message, utc_after
from outbox.store.statements import id_among, text_id

PAGE = 1000
"""Messages that are looked at in one transaction: nobody waits long for what it holds."""

_FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Page:
    """What one step along the primary key came to."""

    old: int
    """Messages that were settled so long ago; removed, unless only counted."""
    looked: int
    """Messages that were looked at."""
    reached: str | None
    """The last id looked at; None at the end."""


def count_page(connection: Connection, state: State, age: float, after: str | None = None) -> Page:
    """Count, on the next page behind the id `after`, the messages that were settled more than `age` seconds ago."""
    return _page(connection, state, age, after)[1]


def purge_page(connection: Connection, state: State, age: float, after: str | None = None) -> Page:
    """Remove those messages and the records of their attempts. Keys against duplicates outlive them.

    Ids rise with time: walked in their order, what is old is found without an index of its own, which every settle
    would have to maintain.
    """
    old, page = _page(connection, state, age, after)
    if old:
        # Judged again: an operator may have sent one again meanwhile. A message is removed before its attempts, for
        # a settle locks the row before it records one.
        name = connection.dialect.name
        removed = connection.execute(_delete(name, state), {"ids": old, "age": -age}).rowcount
        connection.execute(_delete_attempts(name), {"ids": old})
        return Page(removed, page.looked, page.reached)
    return page


def _page(connection: Connection, state: State, age: float, after: str | None) -> tuple[list[str], Page]:
    values: dict[str, Any] = {"after": UUID(after) if after else _FIRST, "age": -age}
    rows = connection.execute(_look(connection.dialect.name, state), values).all()
    old = [row.id for row in rows if row.is_old]
    return old, Page(len(old), len(rows), rows[-1].id if len(rows) == PAGE else None)


def _is_old(state: State) -> Any:
    return and_(
        message.c.state == literal_column(f"'{state.value}'"), message.c.settled_at < utc_after(bindparam("age"))
    )


@functools.cache
def _look(dialect_name: str, state: State) -> Select[Any]:
    return (
        select(text_id(dialect_name), _is_old(state).label("is_old"))
        .where(message.c.id > bindparam("after"))
        .order_by(message.c.id)
        .limit(literal_column(str(PAGE)))
    )


@functools.cache
def _delete(dialect_name: str, state: State) -> Delete:
    return delete(message).where(id_among(dialect_name), _is_old(state))


@functools.cache
def _delete_attempts(dialect_name: str) -> Delete:
    """Of messages that are gone."""
    is_there = select(literal_column("1")).where(message.c.id == attempt.c.message_id).exists()
    return delete(attempt).where(id_among(dialect_name, attempt.c.message_id), ~is_there)
