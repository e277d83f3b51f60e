"""Find a person's traces: on the next page of messages, of records of attempts, or of keys against duplicates."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Label,
    Row,
    Select,
    Table,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
)

from outbox.event.identities import Identities
from outbox.schema import attempt, dedup, message
from outbox.store.purge.keys import is_behind
from outbox.store.statements import HAS_BODY, text_id

PAGE = 1000
"""Rows that are looked at in one statement."""


class MessageTrace(NamedTuple):
    """A message that tells of the person."""

    id: str
    state: str
    name: str


class RecordTrace(NamedTuple):
    """The record of an attempt in which the person stands."""

    id: int
    message_id: UUID


class KeyTrace(NamedTuple):
    """A key against duplicates that holds the person's identity."""

    destination: str
    key: str
    message_id: UUID
    has_owner: bool
    """Its message is there, and has a body."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """What one look has found."""

    found: list[T]
    looked: int
    reached: Any
    """Where the next page begins; None at the end."""


def find_messages(connection: Connection, who: Identities, after: UUID | None) -> Page[MessageTrace]:
    """Find messages whose body tells of the person, or whose ordering key is theirs."""
    rows = _rows(connection, _messages, who, {"after": after or UUID(int=0)})
    found = [
        MessageTrace(row.id, row.state, row.name)
        for row in rows
        if row.ordering_key in who.names or (row.body is not None and who.are_in(row.body))
    ]
    return _page(found, rows, lambda last: UUID(last.id))


def find_records(connection: Connection, who: Identities, after: int | None) -> Page[RecordTrace]:
    """Find attempts whose error, or the answer to which, names the person."""
    rows = _rows(connection, _records, who, {"after": after or 0})
    found = [
        RecordTrace(row.id, row.message_id)
        for row in rows
        if who.are_told(row.error or "") or who.are_told(row.response or "")
    ]
    return _page(found, rows, lambda last: last.id)


def find_keys(connection: Connection, who: Identities, after: tuple[str, str] | None) -> Page[KeyTrace]:
    """Find keys against duplicates that hold the person's identity."""
    destination, key = after or ("", "")
    rows = _rows(connection, _keys, who, {"after_destination": destination, "after_key": key})
    found = [
        KeyTrace(row.destination, row.key, row.message_id, bool(row.has_owner))
        for row in rows
        if row.holds and who.are_told(row.key)
    ]
    return _page(found, rows, lambda last: (last.destination, last.key))


def holds(dialect_name: str, column: ColumnElement[Any], count: int) -> ColumnElement[bool]:
    """Whether the column's text holds one of the texts bound as `text0`, `text1`, …; LIKE would want them escaped."""
    position = func.strpos if dialect_name == "postgresql" else func.instr
    return or_(*(position(column, bindparam(f"text{number}", type_=column.type)) > 0 for number in range(count)))


def texts(who: Identities) -> dict[str, str]:
    """What `holds` binds."""
    return {f"text{number}": text for number, text in enumerate(who.spellings)}


def _rows(
    connection: Connection, statement: Callable[[str, int], Select[Any]], who: Identities, values: dict[str, Any]
) -> Sequence[Row[Any]]:
    query = statement(connection.dialect.name, len(who.spellings))
    return connection.execute(query, values | texts(who)).all()


def _page(found: list[T], rows: Sequence[Row[Any]], place: Callable[[Row[Any]], Any]) -> Page[T]:
    return Page(found, len(rows), place(rows[-1]) if len(rows) == PAGE else None)


@functools.cache
def _messages(dialect_name: str, count: int) -> Select[Any]:
    columns = message.c
    body = _where_held(dialect_name, columns.body, count)
    query = select(text_id(dialect_name), columns.state, columns.name, columns.ordering_key, body)
    return _along(query.where(columns.id > bindparam("after")), message, columns.id)


@functools.cache
def _records(dialect_name: str, count: int) -> Select[Any]:
    columns = attempt.c
    found = [_where_held(dialect_name, column, count) for column in (columns.error, columns.response)]
    query = select(columns.id, columns.message_id, *found)
    return _along(query.where(columns.id > bindparam("after")), attempt, columns.id)


@functools.cache
def _keys(dialect_name: str, count: int) -> Select[Any]:
    columns = dedup.c
    is_held = holds(dialect_name, columns.key, count)
    has_owner = exists().where(message.c.id == columns.message_id, HAS_BODY)
    query = select(
        columns.destination,
        columns.key,
        columns.message_id,
        is_held.label("holds"),
        case((is_held, has_owner)).label("has_owner"),
    )
    return _along(query.where(is_behind(dialect_name)), dedup, columns.destination, columns.key)


def _where_held(dialect_name: str, column: ColumnElement[Any], count: int) -> Label[Any]:
    """The column's text where it may concern the person: no other leaves the database."""
    return case((holds(dialect_name, column, count), column)).label(column.key)


def _along(query: Select[Any], table: Table, *order: ColumnElement[Any]) -> Select[Any]:
    limited = query.order_by(*order).limit(literal_column(str(PAGE)))
    return limited.with_hint(table, "FORCE INDEX (PRIMARY)", "mysql")
