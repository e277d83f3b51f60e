"""Whether a connection's transaction can carry an event: what is looked at, per driver, without a round trip.

Autocommit would commit the event at once, whatever becomes of the application's transaction.

=====================================================  ========================================================
Any driver                                             the execution option `isolation_level="AUTOCOMMIT"`, of a
                                                       statement's connection or of its engine
psycopg, psycopg2, pg8000, asyncpg                     `autocommit` of the driver's connection, which
                                                       `create_engine(isolation_level="AUTOCOMMIT")` sets too
PyMySQL, asyncmy, aiomysql, mysqlclient                the autocommit flag of the server's last answer
mysql-connector, mariadb-connector                     `autocommit` of the driver's connection (mysql-connector
                                                       asks the server for it)
sqlite3, aiosqlite                                     no open transaction although `isolation_level` is None,
                                                       or `autocommit=True` (Python 3.12)
=====================================================  ========================================================

Not seen: a `COMMIT` that the application writes as SQL text, and DDL, which commits on MariaDB and MySQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import Connection

from outbox.errors import AutocommitRefused, SavepointRefused, TargetRefused

_LEGACY = -1
"""`sqlite3.LEGACY_TRANSACTION_CONTROL`, the driver's default, and its only mode before Python 3.12."""


def check(connection: Connection) -> None:
    """Raise `EnqueueRefused` where a rollback would not undo what is written now."""
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        raise _autocommit()
    look = _LOOK.get(connection.dialect.name)
    if look is None:
        msg = f"The outbox cannot live in a database of the kind {connection.dialect.name}"
        raise TargetRefused(msg, hint="Hand in a session or connection of SQLite, PostgreSQL, MariaDB or MySQL.")
    look(connection)


def _check_postgresql(connection: Connection) -> None:
    driver: Any = connection.connection.dbapi_connection
    if driver.autocommit:
        raise _autocommit()


def _check_mysql(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection  # asyncmy's adapter has no get_autocommit in SQLAlchemy 2.0
    ask = getattr(driver, "get_autocommit", None)
    if driver.autocommit if ask is None else ask():
        raise _autocommit()


def _check_sqlite(connection: Connection) -> None:
    if not connection.in_transaction():
        connection.begin()  # as the INSERT would; an engine that is set right sends its BEGIN now
    driver: Any = connection.connection.driver_connection
    control = _transaction_control(connection, driver)
    if control is True:  # commit() and rollback() do nothing then
        raise _autocommit()
    if connection.in_nested_transaction():
        # The stock driver sends no BEGIN before a SAVEPOINT: releasing it commits, whatever the outer transaction
        # does. An engine that listens to "begin" sends its own; `autocommit=False` has the driver send it.
        if control is not False and not connection.dispatch.begin:
            raise _savepoint()
    elif not driver.in_transaction and driver.isolation_level is None:
        raise _autocommit()


def _transaction_control(connection: Connection, driver: Any) -> bool | int:
    """The `autocommit` attribute that sqlite3 has from Python 3.12 on."""
    inner = getattr(driver, "_conn", driver)  # aiosqlite keeps the sqlite3 connection in its thread
    try:
        return getattr(inner, "autocommit", _LEGACY)
    except sqlite3.ProgrammingError:  # it may only be read there
        adapted: Any = connection.connection.dbapi_connection
        control: bool | int = adapted.run_async(lambda outer: outer._execute(getattr, inner, "autocommit"))  # noqa: SLF001 - aiosqlite has no public way to it
        return control


_LOOK: dict[str, Callable[[Connection], None]] = {
    "postgresql": _check_postgresql,
    "mysql": _check_mysql,
    "mariadb": _check_mysql,
    "sqlite": _check_sqlite,
}


def _autocommit() -> AutocommitRefused:
    return AutocommitRefused(
        "The connection is in autocommit: the event would be kept although your transaction rolls back",
        hint="Enqueue on a session or connection whose isolation level is not AUTOCOMMIT.",
    )


def _savepoint() -> SavepointRefused:
    return SavepointRefused(
        "SQLite's stock driver keeps what is written inside a savepoint although your transaction rolls back",
        hint="Call outbox.sqlite.configure(engine) once, where the engine is made.",
    )
