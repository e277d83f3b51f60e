"""The INSERT of messages. Statements are made once, and compiled once per engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Float, bindparam, select
from sqlalchemy.exc import DBAPIError

from outbox.errors import SchemaOutdated
from outbox.producer import prepared
from outbox.producer.prepared import INSERT
from outbox.producer.rows import Row
from outbox.schema import utc_after, utc_now

_INSERT_DELAYED = INSERT.values(due_at=utc_after(bindparam("delay", type_=Float())))
_CLOCK = select(utc_now().label("now"), utc_after(bindparam("delay", type_=Float())).label("due"))

_LARGEST_BATCH = 1024 * 1024
"""Characters of bodies in one batch: what a driver gathers in memory, and well below MariaDB's packet limit."""


def insert_one(connection: Connection, row: Row, delay: float | None) -> None:
    """Write one message in the connection's transaction."""
    if delay is not None:
        connection.execute(_INSERT_DELAYED, row | {"delay": delay})
    elif prepared.is_plain(connection):
        prepared.execute_one(connection, row)
    else:
        connection.execute(INSERT, row)


def insert_many(connection: Connection, rows: list[Row], delay: float | None) -> None:
    """Write messages in as few statements as the driver can."""
    if len(rows) < 2:
        for row in rows:
            insert_one(connection, row, delay)
        return
    statement = INSERT
    # Rows with an `occurred_at` and rows without go in different statements: where order counts all of them are
    # created at one moment, and their ids decide.
    if is_mysql(connection) or "ordering_key" in rows[0]:
        clock = {"created_at": (now := clock_of(connection, delay))[0], "occurred_at": now[0], "due_at": now[1]}
        rows = [clock | row for row in rows]
    elif delay is not None:
        statement, rows = _INSERT_DELAYED, [row | {"delay": delay} for row in rows]
    # psycopg2's executemany sends row by row: there SQLAlchemy makes one statement of many rows, as the dialect says.
    straight = statement is INSERT and not connection.dialect.use_insertmanyvalues_wo_returning
    straight = straight and prepared.is_plain(connection)
    for batch in _batches(rows):
        if straight:
            prepared.execute_many(connection, batch)
        else:
            connection.execute(statement, batch)


def is_mysql(connection: Connection) -> bool:
    """Whether it is MariaDB or MySQL."""
    return connection.dialect.name in {"mysql", "mariadb"}


def clock_of(connection: Connection, delay: float | None = None) -> tuple[Any, Any]:
    """The database's time now, and after the delay.

    The drivers of MariaDB and MySQL gather many rows into one INSERT only where every value is a parameter;
    with the clock as SQL they would send row by row.
    """
    found = connection.execute(_CLOCK, {"delay": delay or 0.0}).one()
    return found.now, found.due


def _batches(rows: list[Row]) -> Iterator[list[Row]]:
    """Rows of the same columns, as one executemany wants them."""
    alike: dict[bool, list[Row]] = {}
    for row in rows:
        alike.setdefault("occurred_at" in row, []).append(row)
    for group in alike.values():
        yield from _bounded(group)


def _bounded(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        if batch and size + len(row["body"]) > _LARGEST_BATCH:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row["body"])
    yield batch


_MISSING_CODES = {1146, 1054, "42P01", "42703", "42S02", "42S22"}
_MISSING_WORDS = ("no such table", "no such column", "has no column named")


def schema_missing(error: DBAPIError) -> SchemaOutdated | None:
    """What "no such table" means for one of our statements; every other error is the application's to see."""
    cause: Any = error.orig
    code = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or (cause.args and cause.args[0])
    if code not in _MISSING_CODES and not any(words in str(cause) for words in _MISSING_WORDS):
        return None
    msg = "The outbox's tables are missing, or of another version, in the database of this transaction"
    return SchemaOutdated(msg, hint="Run: outbox db upgrade")
