"""SQLite's driver, set right for savepoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, event

from outbox.errors import TargetRefused

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_AUTOCOMMIT = "AUTOCOMMIT"


def configure(engine: Engine | AsyncEngine, *, immediate: bool = False) -> None:
    """Have every transaction of a SQLite engine begin with BEGIN, so that savepoints mean what they say.

    Python's sqlite3 sends no BEGIN before a SAVEPOINT. What is written inside it is then committed when the savepoint
    is released, even if the transaction around it rolls back; so `enqueue` refuses to write there. Call this once,
    where the engine is made. It may be repeated; the last call decides. Connections made before are set right too.

    `immediate=True` begins with BEGIN IMMEDIATE. A plain transaction that has read and then writes fails at once with
    "database is locked" if somebody else, such as the outbox's worker, has written in between; no timeout helps. An
    immediate one waits for its turn at the start instead, up to the driver's `timeout` (5 s). The price: transactions
    that only read wait too. Give them an engine of their own if that hurts.

    An engine that follows SQLAlchemy's own advice, a "begin" listener or `connect_args={"autocommit": False}`, needs
    no call. The journal mode of the file is left as it is. On an engine of another database this does nothing, so that
    an application that is developed on SQLite needs no branch. Raises `TargetRefused` for what is no engine.
    """
    target: Any = getattr(engine, "sync_engine", engine)
    if not isinstance(target, Engine):
        msg = f"An object of type {type(engine).__name__} is no engine"
        raise TargetRefused(msg, hint="Hand in what create_engine or create_async_engine returned.")
    if target.dialect.name != "sqlite":
        return
    wanted, other = (_begin_immediate, _begin) if immediate else (_begin, _begin_immediate)
    if event.contains(target, "begin", other):
        event.remove(target, "begin", other)
    if not event.contains(target, "begin", wanted):
        event.listen(target, "begin", wanted)


def _begin(connection: Connection) -> None:
    if not _in_transaction(connection) and not _wants_autocommit(connection):
        connection.exec_driver_sql("BEGIN")


def _begin_immediate(connection: Connection) -> None:
    if _wants_autocommit(connection):
        return
    if _in_transaction(connection):
        # `autocommit=False` (Python 3.12): the driver has begun a plain transaction, in which nothing has happened yet.
        connection.exec_driver_sql("ROLLBACK")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _in_transaction(connection: Connection) -> bool:
    driver: Any = connection.connection.driver_connection
    return bool(driver.in_transaction)


def _wants_autocommit(connection: Connection) -> bool:
    """As for VACUUM and for pragmas, which cannot run inside a transaction."""
    return bool(connection.get_execution_options().get("isolation_level") == _AUTOCOMMIT)
