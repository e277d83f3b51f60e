"""Pieces that several statements share."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BINARY,
    CHAR,
    ColumnElement,
    Connection,
    Dialect,
    Label,
    Select,
    Text,
    TypeDecorator,
    and_,
    any_,
    bindparam,
    cast,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    type_coerce,
)
from sqlalchemy import (
    UUID as SQL_UUID,
)
from sqlalchemy.types import TypeEngine

from outbox.schema import destination, message, utc_now

# Literals, not parameters: a partial index serves only a predicate that the planner can read.
DESTINATION: ColumnElement[str] = bindparam("destination")
OF_DESTINATION: ColumnElement[bool] = message.c.destination == DESTINATION
IS_PENDING: ColumnElement[bool] = message.c.state == literal_column("'pending'")
IS_UNKEYED: ColumnElement[bool] = message.c.ordering_key.is_(None)
IS_DUE: ColumnElement[bool] = message.c.due_at <= utc_now()
IS_FREE: ColumnElement[bool] = or_(message.c.claimed_until.is_(None), message.c.claimed_until <= utc_now())

IS_HELD: ColumnElement[bool] = message.c.claimed_until.is_not(None)
"""A claim that is not settled yet."""

IS_MINE = (message.c.claim_token == bindparam("token"), IS_HELD)
"""The fence of every write that follows a claim."""

WIPED = ""
"""The body of a message whose body was wiped. No body is: the shortest JSON has a character."""

HAS_BODY: ColumnElement[bool] = message.c.body != literal_column("''")
"""Whether there is something to send. PostgreSQL compares lengths first: no long body is read for it."""

IS_BLOCKED: ColumnElement[bool] = and_(
    destination.c.cause.is_not(None),
    or_(destination.c.paused_until > utc_now(), destination.c.cause != literal_column("'operator'")),
)
"""Whether a destination's row holds a pause in force. An automatic one outlives its time, until a probe succeeds."""

BY_ID = "FORCE INDEX (PRIMARY)"
"""A hint for MariaDB and MySQL: any other index would lock the rows that it leads over, and in another order."""

BY_PENDING = "FORCE INDEX (outbox_message_pending)"
"""The same: by its statistics MariaDB may prefer another index, and sort, or read the rows with their bodies."""

SETTLED: dict[str, Any] = {"claimed_until": null(), "lost": 0}
"""What every settle sets: nobody holds the row, and its worker has lived to tell."""


def is_paused(name: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the destination of that name is not being sent to, but for one probe."""
    return exists().where(destination.c.name == name, IS_BLOCKED)


def id_among(dialect_name: str, column: ColumnElement[UUID] = message.c.id) -> ColumnElement[bool]:
    """The id is one of the texts bound as `ids`.

    One array on PostgreSQL and SQLite, digits in the statement's text on MariaDB: a parameter for each id costs client
    and server more than the update itself.
    """
    if dialect_name == "postgresql":
        return column == any_(cast(bindparam("ids", type_=_UuidArray()), ARRAY(SQL_UUID)))
    if dialect_name == "mysql":
        return column.op("IN", is_comparison=True)(bindparam("ids", type_=_HexList(), literal_execute=True))
    ids = func.json_each(bindparam("ids", type_=_JsonArray())).table_valued("value")
    return column.in_(select(ids.c.value))


def text_id(dialect_name: str) -> Label[str]:
    """The id as text, which is what goes over the wire: a `uuid.UUID` would be built only to be written out again."""
    column = cast(message.c.id, Text) if dialect_name == "postgresql" else type_coerce(message.c.id, _TextId())
    return column.label("id")


def fit(text: str, length: int) -> str:
    """The text as every database can keep it in a column of so many characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:length]


class _UuidArray(TypeDecorator[list[str]]):
    """Ids as PostgreSQL writes an array."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> str:
        """Write the array."""
        return "{" + ",".join(value or ()) + "}"


class _JsonArray(TypeDecorator[Sequence[str]]):
    """Ids as SQLite reads an array."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> str:
        """Write the array."""
        return json.dumps(value)


class _HexList(TypeDecorator[Sequence[str]]):
    """Ids as MariaDB writes a list of bytes."""

    impl = Text
    cache_ok = True

    def literal_processor(self, dialect: Dialect) -> Any:
        """Write the list."""
        return _hex_list


def _hex_list(ids: Sequence[str]) -> str:
    digits = [each.replace("-", "") for each in ids]
    bytes.fromhex("".join(digits))  # raises `ValueError` for anything else, which must not come into a statement
    return "(x'" + "',x'".join(digits) + "')"


class _TextId(TypeDecorator[str]):
    """An id column of SQLite, which is text, or of MariaDB, which is 16 bytes."""

    impl = CHAR
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose what the column is."""
        return dialect.type_descriptor(BINARY(16) if dialect.name == "mysql" else CHAR(36))

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Take text as it is, or write out 16 bytes."""
        return _text if dialect.name == "mysql" else None


def _text(value: bytes) -> str:
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def lock_held(connection: Connection, token: UUID, ids: Sequence[str]) -> Sequence[str]:
    """Lock those of the rows that the claim still holds and nobody else has locked, and give their ids."""
    return connection.execute(_lock(connection.dialect.name), {"ids": ids, "token": token}).scalars().all()


def lock_all_held(connection: Connection, token: UUID, ids: Sequence[str]) -> bool:
    """The same where only the number counts: whether it was all of them. Of hundreds of ids each costs the driver."""
    values = {"ids": ids, "token": token}
    return connection.execute(_count(connection.dialect.name), values).scalar_one() == len(ids)


@functools.cache
def _count(dialect_name: str) -> Select[int]:
    return select(func.count()).where(id_among(dialect_name), *IS_MINE).with_for_update(skip_locked=True)


@functools.cache
def _lock(dialect_name: str) -> Select[str]:
    return select(text_id(dialect_name)).where(id_among(dialect_name), *IS_MINE).with_for_update(skip_locked=True)
