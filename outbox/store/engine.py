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
from outbox.store.sockets import track
from outbox.store.trouble import is_locked
from outbox.store.url import synchronous_url

__all__ = ["Connection", "Engine", "open_engine", "write_transaction"]

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 15
"""A worker's statement that takes longer is ended by the server: it would run on when nobody waits for it any more."""
_LOCK_WAIT_SECONDS = 2
_SQLITE_LOCK_SECONDS = 5
# MySQL knows no limit for idle transactions, only one for idle connections, and a worker's may be idle between two
# heartbeats while all of its senders wait for the destination.
_MYSQL_IDLE_SECONDS = 30
_LOCK_WAIT = f"innodb_lock_wait_timeout = {_LOCK_WAIT_SECONDS}"
_WRITE = "outbox_write"
BARE = "outbox_bare"
"""In a connection's `info`, at each begin: whether what follows is a SELECT that needs no transaction around it."""


def open_engine(database_url: str, *, idle_in_transaction: float | None = None) -> Engine:
    """Build an engine with what each database needs; it connects at first use.

    It waits for a statement for as long as it takes, as migrations of a big table must; `outbox.store.sockets` ends
    the wait for others. `idle_in_transaction` is for a worker: the server ends a transaction so many seconds after
    its last statement, for a worker that is frozen or cut off would hold its rows for ever, and ends a statement
    that takes long. Error texts never hold bound parameters: they would be people's data.
    """
    url = synchronous_url(database_url)
    name = url.get_backend_name()
    options: dict[str, Any] = {"hide_parameters": True, "pool_pre_ping": name != "sqlite"}
    if name != "sqlite":
        options["isolation_level"] = "READ COMMITTED"
        if idle_in_transaction is not None:
            options |= {"pool_size": 1, "max_overflow": 0}
    if name == "postgresql" and idle_in_transaction is not None:
        options["isolation_level"] = "AUTOCOMMIT"  # for the driver: `_begin_bounded` begins its transactions
    engine = create_engine(url, connect_args=_CONNECT_ARGS[name](url), **options)
    track(engine)
    _PREPARE[name](engine, idle_in_transaction)
    return engine


def connect_options(engine: Engine) -> dict[str, Any]:
    """What the driver is told for one more connection beside the engine's own."""
    _, options = engine.dialect.create_connect_args(engine.url)
    return {**options, **_CONNECT_ARGS[engine.dialect.name](engine.url)}


def write_transaction(connection: Connection) -> Connection:
    """Make the connection's next transaction one that writes: on SQLite it takes the write lock at its begin.

    A deferred transaction that reads first and then writes fails at once when another wrote in between,
    whatever the busy timeout.
    """
    return connection.execution_options(**{_WRITE: True})


def _postgresql_arguments(_url: URL) -> dict[str, Any]:
    return {
        "application_name": f"outbox/{__version__}",
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }


def _mysql_arguments(url: URL) -> dict[str, Any]:
    # SQLAlchemy hands unknown options over, and the driver answers with a TypeError.
    driver: Any = url.get_dialect().import_dbapi()
    known = {*signature(driver.connections.Connection).parameters, "ssl_capath", "ssl_cipher", "ssl_check_hostname"}
    for option in url.query:
        if option not in known:
            guess = did_you_mean(option, known)
            msg = f"OUTBOX_DATABASE_URL has an option {option!r} that the driver pymysql does not know{guess}"
            raise ConfigurationError(msg, hint="Remove it from the URL.")
    # `connect_timeout` ends where the server's greeting begins: `read_timeout` bounds that, and is lifted afterwards.
    return {"connect_timeout": CONNECT_SECONDS, "read_timeout": CONNECT_SECONDS, "charset": "utf8mb4"}


def _sqlite_arguments(_url: URL) -> dict[str, Any]:
    return {"timeout": _SQLITE_LOCK_SECONDS, "check_same_thread": False}


def _prepare_postgresql(engine: Engine, idle: float | None) -> None:
    """Set nothing for a session: through a transaction pooler it would be others' setting, too."""
    event.listen(engine, "connect", _heed_pooler)
    if idle is not None:
        _begin_bounded(engine, idle)


def _heed_pooler(connection: Any, _record: object) -> None:
    """Prepare no statements through a pooler: at the next transaction another session knows nothing of them.

    A pooler gives itself away: it makes up the process id that it announces. Without one, prepared statements save
    the server a third of what a claim and a settle cost it (measured).
    """
    if connection.execute(b"SELECT pg_backend_pid()", prepare=False).fetchone()[0] != connection.info.backend_pid:
        connection.prepare_threshold = None
    connection.rollback()


def _begin_bounded(engine: Engine, idle: float) -> None:
    """Begin each transaction with its limits, in the one round trip that the driver's own BEGIN would take.

    They hold whatever the role's and the server's defaults are.
    """
    limits = {"idle_in_transaction_session_timeout": idle, "statement_timeout": STATEMENT_SECONDS}
    sets = (f"SET LOCAL {name} = {int(seconds * 1000)}" for name, seconds in limits.items())
    begin = "; ".join(("BEGIN ISOLATION LEVEL READ COMMITTED", *sets)).encode()

    # The dialect's hook for this: 30 µs a transaction; a listener to "begin" that executes text takes 130 (measured).
    def do_begin(connection: Any) -> None:
        if not connection.info.get(BARE):
            connection.driver_connection.execute(begin, prepare=False)

    dialect: Any = engine.dialect
    dialect.do_begin = do_begin


def _prepare_mysql(engine: Engine, idle: float | None) -> None:
    settings = _LOCK_WAIT if idle is None else f"{_LOCK_WAIT}, {_bounds(max(1, int(idle)))}"

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION {settings}")
        connection._read_timeout = None  # noqa: SLF001 - PyMySQL has no public way to it

    if idle is not None:
        _commit_what_was_begun(engine)


def _commit_what_was_begun(engine: Engine) -> None:
    """Send no COMMIT behind a look: while a worker has nothing to do the server's autocommit is on."""
    dialect: Any = engine.dialect
    commit = dialect.do_commit

    def do_begin(connection: Any) -> None:
        # It tells the server only where that changes.
        connection.driver_connection.autocommit(bool(connection.info.get(BARE)))

    def do_commit(connection: Any) -> None:
        if not connection.driver_connection.get_autocommit():
            commit(connection)

    dialect.do_begin, dialect.do_commit = do_begin, do_commit


def _bounds(idle: int) -> str:
    """A worker's limits. Each server reads its own comment: what MariaDB has for transactions MySQL has not."""
    maria = f"idle_transaction_timeout = {idle}, max_statement_time = {STATEMENT_SECONDS}"
    mysql = f"wait_timeout = {_MYSQL_IDLE_SECONDS}, max_execution_time = {STATEMENT_SECONDS * 1000}"
    return (
        f"lock_wait_timeout = {_LOCK_WAIT_SECONDS}, net_write_timeout = {idle}"
        f" /*M!100600 , {maria} */ /*!80001 , {mysql} */"
    )


def _prepare_sqlite(engine: Engine, _idle: float | None) -> None:
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


_CONNECT_ARGS: dict[str, Callable[[URL], dict[str, Any]]] = {
    "postgresql": _postgresql_arguments,
    "mysql": _mysql_arguments,
    "sqlite": _sqlite_arguments,
}
_PREPARE: dict[str, Callable[[Engine, float | None], None]] = {
    "postgresql": _prepare_postgresql,
    "mysql": _prepare_mysql,
    "sqlite": _prepare_sqlite,
}
