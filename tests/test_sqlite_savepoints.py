"""SQLite's stock driver keeps what a savepoint wrote; `outbox.sqlite.configure` and the refusal that names it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy import event as sa_event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session

import outbox
from support.applications import Application, Way, event, ids
from support.databases import Database

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
every_way = pytest.mark.parametrize(
    "way",
    [
        *(Way("pysqlite", carrier, awaits=False) for carrier in ("session", "connection")),
        *(Way("aiosqlite", carrier, awaits=True) for carrier in ("session", "connection", "queued")),
    ],
    ids=str,
)
since_312 = pytest.mark.skipif(sys.version_info < (3, 12), reason="sqlite3 has `autocommit` from Python 3.12 on")


def _table(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE orders (id INTEGER PRIMARY KEY)")


def _orders_after_the_trap(database: Database, engine: Engine) -> int:
    """Insert inside a savepoint that begins the transaction, release it, roll back the transaction."""
    _table(database)
    with engine.connect() as connection:
        with connection.begin() as outer:
            with connection.begin_nested():
                connection.exec_driver_sql("INSERT INTO orders VALUES (1)")
            outer.rollback()
        found: int = connection.exec_driver_sql("SELECT count(*) FROM orders").scalar_one()
    engine.dispose()
    return found


@on_sqlite
def test_the_stock_driver_keeps_the_row_of_a_rolled_back_transaction(database: Database) -> None:
    """The trap itself: if this fails, the driver has changed, and `configure` can go."""
    assert _orders_after_the_trap(database, create_engine(database.url)) == 1


@on_sqlite
@pytest.mark.parametrize("immediate", [False, True])
def test_a_configured_engine_keeps_nothing(database: Database, *, immediate: bool) -> None:
    """The application's own rows are rolled back too."""
    engine = create_engine(database.url)
    outbox.sqlite.configure(engine, immediate=immediate)
    assert _orders_after_the_trap(database, engine) == 0


@on_sqlite
@every_way
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_a_savepoint_of_an_unconfigured_engine_is_refused(database: Database, way: Way, *, many: bool) -> None:
    """The error names the call to make; nothing is kept."""

    async def story(app: Application) -> None:
        async with app.work() as work:
            savepoint = await work.savepoint()
            await (work.enqueue_many([event(), event()]) if many else work.enqueue(event()))
            await savepoint.release()
            await work.commit()

    with pytest.raises(outbox.SavepointRefused, match=r"outbox\.sqlite\.configure\(engine\)"):
        Application(database, way, configured=False).run(story)
    assert ids(database) == []


@on_sqlite
@every_way
def test_outside_savepoints_an_unconfigured_engine_is_right(database: Database, way: Way) -> None:
    """Commit and rollback work with the stock driver; so does a savepoint that begins and ends before or after."""

    async def story(app: Application) -> list[Any]:
        async with app.work() as work:
            savepoint = await work.savepoint()
            await savepoint.release()
            kept = [await work.enqueue(event()), *await work.enqueue_many([event(), event()])]
            savepoint = await work.savepoint()
            await savepoint.rollback()
            await work.commit()
            await work.enqueue(event())
            await work.rollback()
            return kept

    assert Application(database, way, configured=False).run(story) == ids(database)


def _recipe(engine: Engine) -> None:
    """SQLAlchemy's documentation, "Using SQLAlchemy to emit BEGIN in lieu of SQLite's transaction control"."""

    @sa_event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @sa_event.listens_for(engine, "begin")
    def _(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")


def _recipe_then_configured(engine: Engine) -> None:
    _recipe(engine)
    outbox.sqlite.configure(engine)


def _configured_twice(engine: Engine) -> None:
    outbox.sqlite.configure(engine, immediate=True)
    outbox.sqlite.configure(engine)
    outbox.sqlite.configure(engine)


def _nothing(_engine: Engine) -> None:
    pass


def _configured_immediate(engine: Engine) -> None:
    outbox.sqlite.configure(engine, immediate=True)


@on_sqlite
@every_way
@pytest.mark.parametrize(
    ("arguments", "prepare"),
    [
        ({}, _recipe),
        ({}, _recipe_then_configured),
        ({}, _configured_twice),
        pytest.param({"autocommit": False}, _nothing, marks=since_312),
        pytest.param({"autocommit": False}, outbox.sqlite.configure, marks=since_312),
        pytest.param({"autocommit": False}, _configured_immediate, marks=since_312),
    ],
)
def test_engines_that_are_right_are_accepted(
    database: Database, way: Way, arguments: dict[str, Any], prepare: Callable[[Engine], None]
) -> None:
    """What SQLAlchemy's documentation advises needs no call, and bears one."""

    class Prepared(Application):
        def engine(self) -> Engine | AsyncEngine:
            engine = super().engine()
            prepare(engine.sync_engine if isinstance(engine, AsyncEngine) else engine)
            return engine

    async def story(app: Application) -> list[Any]:
        async with app.work() as work:
            kept = [await work.enqueue(event())]
            await work.commit()
            savepoint = await work.savepoint()
            await work.enqueue(event())
            await savepoint.release()
            await work.rollback()
            savepoint = await work.savepoint()
            kept.append(await work.enqueue(event()))
            await savepoint.release()
            await work.commit()
            return kept

    app = Prepared(database, way, options={"connect_args": arguments}, configured=False)
    assert app.run(story) == ids(database)


@on_sqlite
def test_the_last_call_decides(database: Database) -> None:
    """Plain after immediate, and back."""
    engine = create_engine(database.url)
    begun: list[str] = []
    sa_event.listen(engine, "before_cursor_execute", lambda *given: begun.append(given[2]))
    for immediate in (True, False, True, True, False, False):
        outbox.sqlite.configure(engine, immediate=immediate)
        with engine.begin():
            pass
    engine.dispose()
    assert begun == ["BEGIN IMMEDIATE", "BEGIN", "BEGIN IMMEDIATE", "BEGIN IMMEDIATE", "BEGIN", "BEGIN"]


@on_sqlite
@every_way
def test_a_savepoint_in_autocommit_is_refused(database: Database, way: Way) -> None:
    """A configured engine sends no BEGIN there, so its savepoints are those of the stock driver."""

    async def story(app: Application) -> None:
        async with app.work() as work:
            savepoint = await work.savepoint()
            await work.enqueue(event())
            await savepoint.release()
            await work.rollback()

    options = {"execution_options": {"isolation_level": "AUTOCOMMIT"}}
    with pytest.raises(outbox.AutocommitRefused):
        Application(database, way, options=options).run(story)
    assert ids(database) == []


@on_sqlite
def test_connections_made_before_the_call_are_set_right(database: Database) -> None:
    """The pool may hold some already."""
    engine = create_engine(database.url)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
    outbox.sqlite.configure(engine)
    assert _orders_after_the_trap(database, engine) == 0


@on_sqlite
def test_an_immediate_transaction_waits_where_a_plain_one_fails(database: Database) -> None:
    """Read, let somebody else write, write: no timeout helps the plain transaction."""
    database_engine = create_engine(database.url, connect_args={"timeout": 0})
    _table(database)
    with database_engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    def read_then_write(*, immediate: bool) -> bool:
        """Whether the other got to write in between."""
        engine = create_engine(database.url, connect_args={"timeout": 0})
        outbox.sqlite.configure(engine, immediate=immediate)
        try:
            with Session(engine) as session:
                session.connection().exec_driver_sql("SELECT * FROM orders")
                try:
                    with database_engine.begin() as other:
                        other.exec_driver_sql("INSERT INTO orders DEFAULT VALUES")
                except OperationalError:
                    written = False
                else:
                    written = True
                outbox.enqueue(session, event())
                session.commit()
                return written
        finally:
            engine.dispose()

    with pytest.raises(OperationalError, match="database is locked"):
        read_then_write(immediate=False)
    assert read_then_write(immediate=True) is False
    assert len(ids(database)) == 1
    database_engine.dispose()


@on_sqlite
def test_a_configured_engine_can_still_vacuum(database: Database) -> None:
    """On a connection in autocommit no BEGIN is sent."""
    engine = create_engine(database.url)
    outbox.sqlite.configure(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM")
    engine.dispose()


@on_sqlite
def test_the_journal_mode_is_left_alone(database: Database) -> None:
    """The file is the user's."""
    engine = create_engine(database.url)
    outbox.sqlite.configure(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "delete"
    engine.dispose()


def test_other_databases_are_left_alone() -> None:
    """An application that is developed on SQLite calls it without a branch."""
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    outbox.sqlite.configure(engine)
    assert not engine.dispatch.begin


def test_what_is_no_engine_is_refused() -> None:
    """The error says what to hand in."""
    wrong: Any = "sqlite:///app.db"
    with pytest.raises(outbox.TargetRefused, match="Hand in what create_engine"):
        outbox.sqlite.configure(wrong)


@on_sqlite
@since_312
def test_the_mode_of_a_connection_bound_to_another_thread_is_read(database: Database) -> None:
    """Connections of aiosqlite may be read in their own thread alone."""

    async def story() -> list[Any]:
        url = database.async_url()
        engine = create_async_engine(url, connect_args={"autocommit": False, "check_same_thread": True})
        async with engine.connect() as connection, connection.begin_nested():
            kept = await outbox.enqueue_async(connection, event())
            await connection.commit()
        await engine.dispose()
        return [kept]

    assert asyncio.run(story()) == ids(database)
