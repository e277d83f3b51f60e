"""The outbox's own engines: worker and command line. The application brings its own for `enqueue`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from inspect import signature
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from outbox._version import __version__
from outbox.errors import ConfigurationError, did_you_mean
from outbox.store.trouble import is_locked
from outbox.store.url import synchronous_url

__all__ = ["Engine", "open_engine", "write_transaction"]

CONNECT_SECONDS = 5
_LOCK_WAIT_SECONDS = 2
_SQLITE_LOCK_SECONDS = 5
_WRITE = "outbox_write"


def open_engine(database_url: str, *, patient: bool = False) -> Engine:
    """Build an engine with what each database needs; it connects at first use.

    A `patient` one waits for a statement for as long as it takes, as migrations of a big table must; others give
    up on a server that has stopped answering. Error texts never hold bound parameters: they would be people's data.
    """
    url = synchronous_url(database_url)
    name = url.get_backend_name()
    options: dict[str, Any] = {"hide_parameters": True, "pool_pre_ping": name != "sqlite"}
    if name != "sqlite":
        options |= {"pool_size": 2, "max_overflow": 0, "isolation_level": "READ COMMITTED"}
    engine = create_engine(url, connect_args=_CONNECT_ARGS[name](url, patient=patient), **options)
    _PREPARE[name](engine)
    return engine


def write_transaction(connection: Connection) -> Connection:
    """Make the connection's next transaction one that writes: on SQLite it takes the write lock at its begin.

    A deferred transaction that reads first and then writes fails at once when another wrote in between,
    whatever the busy timeout.
    """
    return connection.execution_options(**{_WRITE: True})


def _postgresql_arguments(_url: URL, **_options: bool) -> dict[str, Any]:
    return {
        "application_name": f"outbox/{__version__}",
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }


def _mysql_arguments(url: URL, *, patient: bool) -> dict[str, Any]:
    # SQLAlchemy hands unknown options over, and the driver answers with a TypeError.
    driver: Any = url.get_dialect().import_dbapi()
    known = {*signature(driver.connections.Connection).parameters, "ssl_capath", "ssl_cipher", "ssl_check_hostname"}
    for option in url.query:
        if option not in known:
            guess = did_you_mean(option, known)
            msg = f"OUTBOX_DATABASE_URL has an option {option!r} that the driver pymysql does not know{guess}"
            raise ConfigurationError(msg, hint="Remove it from the URL.")
    timeouts = {"connect_timeout": CONNECT_SECONDS}
    if not patient:
        timeouts |= {"read_timeout": 25, "write_timeout": 25}
    return timeouts | {"charset": "utf8mb4"}


def _sqlite_arguments(_url: URL, **_options: bool) -> dict[str, Any]:
    return {"timeout": _SQLITE_LOCK_SECONDS, "check_same_thread": False}


def _prepare_postgresql(engine: Engine) -> None:
    """Nothing beyond the connection's arguments: session settings would leak through a transaction pooler."""


def _prepare_mysql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {_LOCK_WAIT_SECONDS}")


def _prepare_sqlite(engine: Engine) -> None:
    """We begin transactions ourselves; the journal mode of the user's file is not ours to change."""

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITE, False):
            _begin_immediate(connection)
        else:
            connection.exec_driver_sql("BEGIN")


def _begin_immediate(connection: Connection) -> None:
    """Take SQLite's write lock, asking often.

    SQLite's own busy handler waits longer and longer between two looks, up to 0.1 s, while others come and go:
    a worker's settles would pile up behind that.
    """
    deadline = time.monotonic() + _SQLITE_LOCK_SECONDS
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                if not is_locked(error) or time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0.0005, 0.003))  # noqa: S311 - jitter, not a secret
            else:
                return
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_SQLITE_LOCK_SECONDS * 1000}")


_CONNECT_ARGS: dict[str, Callable[..., dict[str, Any]]] = {
    "postgresql": _postgresql_arguments,
    "mysql": _mysql_arguments,
    "sqlite": _sqlite_arguments,
}
_PREPARE: dict[str, Callable[[Engine], None]] = {
    "postgresql": _prepare_postgresql,
    "mysql": _prepare_mysql,
    "sqlite": _prepare_sqlite,
}
