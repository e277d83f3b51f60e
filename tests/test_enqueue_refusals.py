"""What cannot carry an event is refused before anything is written, each time with the remedy."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy import event as sa_event
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

import outbox
from support.applications import Application, Way, event, every_way, ids, settled
from support.databases import Database

_AUTOCOMMIT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "pysqlite": {"isolation_level": None},
    "aiosqlite": {"isolation_level": None},
    "psycopg": {"autocommit": True},
    "pymysql": {"autocommit": True},
    "asyncmy": {"autocommit": True},
}
"""How each driver itself is told to commit every statement. asyncpg has no such argument."""


def _refused_whole(app: Application, error: type[Exception], match: str) -> None:
    async def story(app: Application, many: bool) -> None:  # noqa: FBT001 - a flag of this test alone
        async with app.work() as work:
            await (work.enqueue_many([event(), event()]) if many else work.enqueue(event()))
            await work.commit()

    for many in (False, True):
        with pytest.raises(error, match=match):
            asyncio.run(story(app, many))
    assert ids(app.database) == []


@every_way
def test_an_autocommit_engine_is_refused(database: Database, way: Way) -> None:
    """`create_engine(isolation_level="AUTOCOMMIT")`."""
    app = Application(database, way, options={"isolation_level": "AUTOCOMMIT"}, configured=False)
    _refused_whole(app, outbox.AutocommitRefused, "isolation level is not AUTOCOMMIT")


@every_way
def test_an_autocommit_execution_option_is_refused(database: Database, way: Way) -> None:
    """`create_engine(execution_options={"isolation_level": "AUTOCOMMIT"})`, on a configured engine too."""
    app = Application(database, way, options={"execution_options": {"isolation_level": "AUTOCOMMIT"}})
    _refused_whole(app, outbox.AutocommitRefused, "rolls back")


@every_way
def test_a_driver_in_autocommit_is_refused(database: Database, way: Way) -> None:
    """The driver's own switch, of which SQLAlchemy knows nothing."""
    arguments = _AUTOCOMMIT_ARGUMENTS.get(way.driver)
    if arguments is None:
        pytest.skip(f"{way.driver} has no autocommit of its own")
    app = Application(database, way, options={"connect_args": arguments}, configured=False)
    _refused_whole(app, outbox.AutocommitRefused, "rolls back")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sqlite3 has the attribute `autocommit` from Python 3.12 on")
@pytest.mark.parametrize("driver", ["pysqlite", "aiosqlite"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sqlite_in_autocommit_is_refused_even_where_configured(database: Database, driver: str) -> None:
    """With `autocommit=True` commit() and rollback() do nothing at all."""
    way = Way(driver, "session", awaits=driver == "aiosqlite")
    app = Application(database, way, options={"connect_args": {"autocommit": True}})
    _refused_whole(app, outbox.AutocommitRefused, "rolls back")


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_one_transaction_in_autocommit_is_refused(database: Database) -> None:
    """A session whose connection is switched for one transaction; the next transaction is welcome."""
    engine = create_engine(database.url)
    with Session(engine) as session:
        session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        with pytest.raises(outbox.AutocommitRefused):
            outbox.enqueue(session, event())
        session.rollback()
        made = outbox.enqueue(session, event())
        session.commit()
    engine.dispose()
    assert ids(database) == [made]


def _dbapi() -> Any:
    return sqlite3.connect(":memory:")


def _django() -> Any:
    return type("DatabaseWrapper", (), {"__module__": "django.db.backends.postgresql.base"})()


_WRONG: dict[str, tuple[Callable[[Engine], Any], str]] = {
    "none": (
        lambda _: None,
        "None is no session. Hand in the session or connection of your transaction: ",
    ),
    "engine": (
        lambda engine: engine,
        r"with Session\(engine\) as session, session.begin\(\): ",
    ),
    "async-engine": (
        lambda _: create_async_engine("sqlite+aiosqlite://"),
        r"async with AsyncSession\(engine\) as session, session.begin\(\): ",
    ),
    "sessionmaker": (sessionmaker, r"with Session.begin\(\) as session: "),
    "async-sessionmaker": (lambda _: async_sessionmaker(), r"async with Session.begin\(\) as session: "),
    "class": (lambda _: Session, "Session is a class. Hand in the session itself"),
    "dbapi": (lambda _: _dbapi(), "The Connection is the driver's own. Hand in the SQLAlchemy session"),
    "django": (lambda _: _django(), "Django's DatabaseWrapper is no SQLAlchemy transaction. The outbox writes through"),
    "swapped": (lambda _: event(), "The event comes second. The first argument is the session"),
    "swapped-body": (lambda _: {"event": {}}, "The event comes second"),
    "transaction": (lambda engine: Session(engine).begin(), "The SessionTransaction carries no statements"),
    "other": (lambda _: 7, "An object of type int is no session"),
}


@pytest.mark.parametrize("wrong", _WRONG)
@pytest.mark.parametrize("call", ["enqueue", "enqueue_many", "enqueue_async", "enqueue_many_async"])
def test_what_holds_no_transaction_is_refused(wrong: str, call: str) -> None:
    """Each usual slip is named, with the line to write instead."""
    make, match = _WRONG[wrong]
    engine = create_engine("sqlite://")
    target = make(engine)
    payload: Any = [event()] if "many" in call else event()

    async def story() -> None:
        await settled(getattr(outbox, call)(target, payload))

    with pytest.raises(outbox.TargetRefused, match=match) as caught:
        asyncio.run(story())
    calls_async = {"engine": False, "sessionmaker": False, "async-engine": True, "async-sessionmaker": True}
    awaited = calls_async.get(wrong, call.endswith("async"))
    assert ("await outbox.enqueue_async" in str(caught.value)) == awaited
    assert isinstance(caught.value, TypeError)
    if wrong == "dbapi":
        target.close()
    engine.dispose()


def test_synchronous_targets_are_not_awaited() -> None:
    """`enqueue_async` on a Session or a Connection names the call that fits."""
    engine = create_engine("sqlite://")
    with Session(engine) as session, engine.connect() as connection:
        targets: list[Any] = [session, connection]
        for target in targets:
            with pytest.raises(outbox.TargetRefused, match="without await: outbox"):
                asyncio.run(outbox.enqueue_async(target, event()))
    engine.dispose()


def test_an_async_connection_needs_await() -> None:
    """There is no session whose flush could write it."""

    async def story() -> None:
        engine = create_async_engine("sqlite+aiosqlite://")
        async with engine.connect() as connection:
            target: Any = connection
            with pytest.raises(outbox.TargetRefused, match=r"await outbox\.enqueue_async\(connection"):
                outbox.enqueue(target, event())
        await engine.dispose()

    asyncio.run(story())


def test_a_key_on_an_async_session_needs_await() -> None:
    """Whether the key is new only the database can say; a list without keys needs no answer."""

    async def story() -> None:
        async with AsyncSession() as session:
            with pytest.raises(outbox.TargetRefused, match="await outbox"):
                outbox.enqueue(session, event(), dedup_key="key")
            with pytest.raises(outbox.TargetRefused, match="await outbox"):
                outbox.enqueue_many(session, [event()], dedup_keys=["key"])
            assert len(outbox.enqueue_many(session, [event()], dedup_keys=[None])) == 1

    asyncio.run(story())


def test_an_async_scoped_session_is_its_session() -> None:
    """What it stands for decides."""

    async def story() -> None:
        scoped = async_scoped_session(async_sessionmaker(), scopefunc=asyncio.current_task)
        outbox.enqueue(scoped, event())
        assert len(scoped.new) == 1
        await scoped.remove()

    asyncio.run(story())


def test_another_database_is_refused() -> None:
    """The outbox lives beside the application's rows, in a database that it knows."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.dialect.name = "oracle"
        with pytest.raises(outbox.TargetRefused, match="SQLite, PostgreSQL, MariaDB or MySQL"):
            outbox.enqueue(connection, event())
    engine.dispose()


@pytest.mark.parametrize("hook", ["after_commit", "after_rollback"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_a_session_whose_transaction_has_ended_is_refused(database: Database, hook: str) -> None:
    """An event of `after_commit` would belong to no transaction."""
    refused: list[outbox.EnqueueRefused] = []
    engine = create_engine(database.url)
    with Session(engine) as session:

        def late(*_: Any) -> None:
            with pytest.raises(outbox.EnqueueRefused, match="before the commit") as caught:
                outbox.enqueue(session, event())
            refused.append(caught.value)

        sa_event.listen(session, hook, late)
        kept = outbox.enqueue(session, event())
        if hook == "after_commit":
            session.commit()
        else:
            session.rollback()
        sa_event.remove(session, hook, late)
    engine.dispose()
    assert len(refused) == 1
    assert ids(database) == ([kept] if hook == "after_commit" else [])


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_async_session_whose_transaction_has_ended_is_refused(database: Database) -> None:
    """Without await it would have become the next transaction's, or nobody's."""
    refused: list[Any] = []

    async def story() -> None:
        engine = create_async_engine(database.async_url())
        async with AsyncSession(engine) as session:

            def late(_: Any) -> None:
                with pytest.raises(outbox.EnqueueRefused, match="before the commit") as caught:
                    outbox.enqueue(session, event())
                refused.append(caught.value)

            sa_event.listen(session.sync_session, "after_commit", late)
            outbox.enqueue(session, event())
            await session.commit()
        await engine.dispose()

    asyncio.run(story())
    assert len(refused) == 1
    assert len(ids(database)) == 1
