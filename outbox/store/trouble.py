"""The driver's errors, mapped once to ours: unreachable, schema missing, or worth a repeat."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from outbox.errors import ConfigurationError, DatabaseUnreachable, OutboxError, SchemaOutdated
from outbox.store.url import shown_url

_MISSING_TABLE = re.compile(
    r"no such (?:table|column)|relation \"\S+\" does not exist|column \S+ does not exist|doesn't exist|Unknown column",
    re.ASCII,
)
# MariaDB's and MySQL's messages that quote a row's values; PostgreSQL's stand on a line of their own.
_QUOTED_ROW = re.compile(
    r"(Duplicate entry|Incorrect \S+ value:|Truncated incorrect \S+ value:) '.*'( for (?:key|column)|$)", re.DOTALL
)
_FORBIDDEN_MYSQL = {1142, 1143}
_FORBIDDEN_SQLSTATE = "42501"
_REPEATABLE_MYSQL = {1205, 1213, 1020}
_REPEATABLE_SQLSTATE = {"40001", "40P01", "55P03"}


@contextmanager
def explained(engine: Engine) -> Iterator[None]:
    """Turn the database's trouble into one sentence with a next step, for people at a command line."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        explanation = explain(error, engine)
        if explanation is None:
            raise
        raise explanation from error


def explain(error: Exception, engine: Engine) -> OutboxError | None:
    """Say what a database error means, or None where it means a fault of ours."""
    if is_schema_missing(error):
        msg = f"The outbox's tables are missing or outdated in {shown_url(engine.url)}"
        return SchemaOutdated(msg, hint="Run: outbox db upgrade")
    if "invalid connection option" in str(getattr(error, "orig", "")):
        return ConfigurationError(f"OUTBOX_DATABASE_URL: {first_line(error)}", hint="Remove it from the URL.")
    if _is_no_database(error):
        msg = f"{engine.url.database} is damaged, or is no SQLite database: {first_line(error)}"
        return DatabaseUnreachable(msg, hint="Check OUTBOX_DATABASE_URL; restore a damaged file from a backup.")
    if _is_forbidden(error):
        msg = f"The database user of {shown_url(engine.url)} lacks a right: {first_line(error)}"
        return ConfigurationError(msg, hint="Grant it; docs/databases.md lists the rights that each part needs.")
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeoutError)) and not _is_wrong_sql(error):
        msg = f"The database {shown_url(engine.url)} cannot be used: {first_line(error)}"
        return DatabaseUnreachable(msg, hint="Check OUTBOX_DATABASE_URL, and that the database runs and lets us in.")
    return None if _is_wrong_sql(error) else refused(error)


def refused(error: Exception) -> OutboxError:
    """Say that it is the statement which the database does not take: a constraint or a trigger of somebody's, for one."""
    return OutboxError(f"The database refused a statement: {first_line(error)}")


def is_schema_missing(error: Exception) -> bool:
    """Whether a table or column of ours is not there."""
    return isinstance(error, (ProgrammingError, OperationalError)) and bool(_MISSING_TABLE.search(str(error.orig)))


def _is_no_database(error: Exception) -> bool:
    return _sqlite_code(error) in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}


def _is_forbidden(error: Exception) -> bool:
    orig = getattr(error, "orig", None)
    code = orig.args[0] if orig is not None and orig.args else None
    return getattr(orig, "sqlstate", None) == _FORBIDDEN_SQLSTATE or code in _FORBIDDEN_MYSQL


def _is_wrong_sql(error: Exception) -> bool:
    """Whether the statement itself is wrong. SQLite's driver raises one class for that and for trouble with the file."""
    return isinstance(error, ProgrammingError) or _sqlite_code(error) == sqlite3.SQLITE_ERROR


def _sqlite_code(error: Exception) -> int | None:
    """SQLite's primary result code."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_repeatable(error: Exception) -> bool:
    """Whether the database asks to run the transaction again: deadlock, lock timeout, serialization."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return False
    code = error.orig.args[0] if error.orig.args else None
    return code in _REPEATABLE_MYSQL or getattr(error.orig, "sqlstate", None) in _REPEATABLE_SQLSTATE


def is_locked(error: Exception) -> bool:
    """Whether SQLite says that another connection holds its lock."""
    return _sqlite_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def first_line(error: Exception) -> str:
    """The driver's own words, one line of them, or what we have noted beside them; SQLAlchemy's additions left out."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if notes := getattr(cause, "__notes__", None):
        return str(notes[0])
    text = str(cause.args[1]) if len(cause.args) > 1 and isinstance(cause.args[0], int) else str(cause)
    lines = [line.strip() for line in _QUOTED_ROW.sub(r"\1 …\2", text).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(cause).__name__
