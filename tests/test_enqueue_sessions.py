"""The kinds of sessions that applications have: scoped, subclassed, bound in several ways, inside hooks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, insert
from sqlalchemy import event as sa_event
from sqlalchemy.exc import InvalidRequestError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker
from sqlalchemy.sql.dml import UpdateBase

import outbox
from outbox.schema import message
from support.applications import event, ids, messages
from support.databases import Database

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


class Base(DeclarativeBase):
    """An application's models."""


class Order(Base):
    """One of them."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)


def _other(tmp_path: Path) -> Engine:
    return create_engine(f"sqlite:///{tmp_path}/other.db")


def test_a_scoped_session_is_its_session(database: Database) -> None:
    """As Flask and others hand it out."""
    scoped = scoped_session(sessionmaker(create_engine(database.url)))
    made = outbox.enqueue(scoped, event())
    more = outbox.enqueue_many(scoped, [event(), event()])
    scoped.commit()
    scoped.get_bind().engine.dispose()
    scoped.remove()
    assert ids(database) == [made, *more]


@on_sqlite
def test_an_async_scoped_session_is_its_session(database: Database) -> None:
    """With await and without."""

    async def story() -> list[Any]:
        engine = create_async_engine(database.async_url())
        scoped = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)
        made = [outbox.enqueue(scoped, event()), await outbox.enqueue_async(scoped, event())]
        await scoped.commit()
        await scoped.remove()
        await engine.dispose()
        return made

    assert sorted(asyncio.run(story())) == ids(database)


def test_a_session_joined_to_a_connection_writes_in_its_transaction(database: Database) -> None:
    """The recipe of test suites: the session commits, the transaction around it rolls back."""
    engine = create_engine(database.url)
    outbox.sqlite.configure(engine)
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            outbox.enqueue(session, event())
            session.commit()
        assert connection.execute(message.select()).one().name == "order_placed"
        outer.rollback()
    engine.dispose()
    assert ids(database) == []


@on_sqlite
def test_the_outboxs_own_bind_is_used(database: Database, tmp_path: Path) -> None:
    """`binds` may name the outbox's table beside the application's classes."""
    engine, other = create_engine(database.url), _other(tmp_path)
    with Session(binds={Order: other, message: engine}) as session:
        made = outbox.enqueue(session, event())
        session.commit()
    for each in (engine, other):
        each.dispose()
    assert ids(database) == [made]


@on_sqlite
def test_the_common_bind_is_used_where_the_table_has_none(database: Database, tmp_path: Path) -> None:
    """`bind` stands in for all that `binds` does not name."""
    engine, other = create_engine(database.url), _other(tmp_path)
    with Session(engine, binds={Order: other}) as session:
        made = outbox.enqueue(session, event())
        session.commit()
    for each in (engine, other):
        each.dispose()
    assert ids(database) == [made]


@on_sqlite
def test_a_queued_event_finds_the_outboxs_bind(database: Database, tmp_path: Path) -> None:
    """The flush of an AsyncSession looks for it too."""

    async def story() -> Any:
        engine = create_async_engine(database.async_url())
        other = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/other.db")
        async with AsyncSession(binds={Order: other, message: engine}) as session:
            made = [outbox.enqueue(session, event()), await outbox.enqueue_async(session, event())]
            await session.commit()
        await engine.dispose()
        return made

    assert sorted(asyncio.run(story())) == ids(database)


def test_a_session_without_a_way_to_the_outbox_is_refused(tmp_path: Path) -> None:
    """The remedy names the table to bind."""
    other = _other(tmp_path)
    for session in (Session(), Session(binds={Order: other})):
        with session, pytest.raises(outbox.TargetRefused, match=r"outbox\.schema\.message: engine"):
            outbox.enqueue(session, event())


@on_sqlite
def test_a_session_that_routes_by_statement_sends_it_to_the_writer(database: Database, tmp_path: Path) -> None:
    """As SQLAlchemy's documentation routes reads to replicas."""
    writer, replica = create_engine(database.url), _other(tmp_path)

    class Routing(Session):
        def get_bind(self, mapper: Any = None, *, clause: Any = None, **_: Any) -> Engine:
            return writer if isinstance(clause, UpdateBase) else replica

    with Routing() as session:
        made = outbox.enqueue(session, event())
        session.commit()
    for each in (writer, replica):
        each.dispose()
    assert ids(database) == [made]


@pytest.mark.parametrize("hook", ["before_commit", "after_flush", "after_flush_postexec", "before_flush"])
def test_hooks_before_the_commit_may_enqueue(database: Database, hook: str) -> None:
    """They belong to the transaction that is about to be committed."""
    Base.metadata.create_all(database.engine)
    engine = create_engine(database.url)
    made: list[Any] = []
    with Session(engine) as session:

        def hooked(*_: Any) -> None:
            if not made:
                made.append(outbox.enqueue(session, event()))

        sa_event.listen(session, hook, hooked)
        session.add(Order())
        session.commit()
    engine.dispose()
    assert ids(database) == made
    assert len(made) == 1


@on_sqlite
def test_a_session_that_must_roll_back_first_says_so_itself(database: Database) -> None:
    """SQLAlchemy's own sentence is the better one."""
    Base.metadata.create_all(database.engine)
    engine = create_engine(database.url)
    with Session(engine) as session:
        session.add_all([Order(id=1), Order(id=1)])
        with pytest.raises(Exception, match="orders"):
            session.flush()
        with pytest.raises(PendingRollbackError):
            outbox.enqueue(session, event())
        session.rollback()
    with Session(engine, close_resets_only=False) as session:
        session.close()
        with pytest.raises(InvalidRequestError, match="permanently closed"):
            outbox.enqueue(session, event())
    engine.dispose()


def test_nothing_of_the_session_is_flushed(database: Database) -> None:
    """Enqueueing writes the event, and leaves the application's objects to the session."""
    Base.metadata.create_all(database.engine)
    engine = create_engine(database.url)
    with Session(engine) as session:
        order = Order()
        session.add(order)
        outbox.enqueue(session, event())
        assert order in session.new
        session.expunge_all()
        session.commit()
    engine.dispose()
    assert len(messages(database)) == 1


@on_sqlite
def test_an_applications_models_do_not_know_the_queue(database: Database) -> None:
    """The class that an AsyncSession queues is of a registry of our own, and of ours alone."""

    async def story() -> None:
        engine = create_async_engine(database.async_url())
        async with AsyncSession(engine) as session:
            outbox.enqueue(session, event())
            (queued,) = session.new
            assert type(queued) not in {mapper.class_ for mapper in Base.registry.mappers}
            await session.commit()
        await engine.dispose()

    asyncio.run(story())
    assert "outbox_message" not in Base.metadata.tables


def test_the_databases_other_errors_come_through(database: Database) -> None:
    """Only missing tables are explained; the rest is the application's to see, unchanged."""
    engine = create_engine(database.url)
    application = Table("application", MetaData(), Column("id", Integer, primary_key=True))
    application.create(engine)
    with engine.connect() as connection:
        first = outbox.enqueue(connection, event())
        with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
            connection.execute(insert(message), {"id": first, "destination": "a", "name": "a", "body": "{}"})
        connection.rollback()
    engine.dispose()
