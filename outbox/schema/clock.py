"""The database's clock as SQL: the one clock that decides what is due and what has expired."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Float, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from outbox.schema.types import UtcDateTime


class utc_now(FunctionElement[Any]):  # noqa: N801 - reads as the SQL function that it is
    """The moment at which the statement began, in UTC."""

    type = UtcDateTime()
    inherit_cache = True


class utc_after(FunctionElement[Any]):  # noqa: N801 - reads as the SQL function that it is
    """`utc_now()`, or a given moment, plus a number of seconds; negative ones reach back."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, seconds: float | ColumnElement[float], since: datetime | None = None) -> None:
        given = seconds if isinstance(seconds, ColumnElement) else bindparam(None, seconds, type_=Float())
        super().__init__(given, *([] if since is None else [bindparam(None, since, type_=UtcDateTime())]))


def _parts(element: utc_after, compiler: SQLCompiler, now: str, **options: Any) -> tuple[str, str]:
    """The moment, in the database's words, and the seconds from there."""
    seconds, *since = (compiler.process(each, **options) for each in element.clauses)
    return (since[0] if since else now), seconds


# PostgreSQL: statement_timestamp() is stable within a statement, so an index can serve a comparison
# with it; clock_timestamp() is volatile and could not.
@compiles(utc_now, "postgresql")
def _(_element: utc_now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "statement_timestamp()"


@compiles(utc_after, "postgresql")
def _(element: utc_after, compiler: SQLCompiler, **options: Any) -> str:
    moment, seconds = _parts(element, compiler, "statement_timestamp()", **options)
    return f"{moment} + make_interval(secs => {seconds})"


# MariaDB and MySQL: now() is local time and whole seconds.
@compiles(utc_now, "mysql", "mariadb")
def _(_element: utc_now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "UTC_TIMESTAMP(6)"


@compiles(utc_after, "mysql", "mariadb")
def _(element: utc_after, compiler: SQLCompiler, **options: Any) -> str:
    moment, seconds = _parts(element, compiler, "UTC_TIMESTAMP(6)", **options)
    return f"TIMESTAMPADD(MICROSECOND, ({seconds}) * 1000000, {moment})"


# SQLite knows milliseconds; the text is padded to the fixed width that makes it sort as time does.
@compiles(utc_now, "sqlite")
def _(_element: utc_now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"


@compiles(utc_after, "sqlite")
def _(element: utc_after, compiler: SQLCompiler, **options: Any) -> str:
    moment, seconds = _parts(element, compiler, "'now'", **options)
    return f"strftime('%Y-%m-%dT%H:%M:%f000Z', {moment}, ({seconds}) || ' seconds')"
