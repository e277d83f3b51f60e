"""`outbox.testing.drain`: the real worker inside a test, on each database."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import outbox
from outbox.errors import ConfigurationError, SchemaOutdated
from outbox.testing import Drained, FakeServer, ThreadedFakeServer, assert_enqueued, drain, fake_server
from support.applications import event
from support.databases import Database

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Give the application's engine."""
    made = create_engine(database.url)
    outbox.sqlite.configure(made)
    yield made
    made.dispose()


def put(engine: Engine, *names: str) -> None:
    with engine.begin() as connection:
        outbox.enqueue_many(connection, [event(name) for name in names])


def test_what_is_due_arrives(engine: Engine, destination: ThreadedFakeServer) -> None:
    """Delivered, refused and put off are counted, and are in the table; what rolled back is not sent."""
    destination.script = "name=bad: 400; name=slow: 500; ok"
    put(engine, "one", "bad", "slow", "two")
    with Session(engine) as session:
        outbox.enqueue(session, event("three"))
        session.rollback()
    assert drain(engine, destination) == Drained(delivered=2, rescheduled=1, failed=1)
    assert sorted(str(each.name) for each in destination.received) == ["bad", "one", "slow", "two"]
    with Session(engine) as session:
        assert_enqueued(session, "one", state="delivered")
        assert_enqueued(session, "bad", state="failed")
        assert_enqueued(session, "slow", state="pending")
    assert drain(engine, destination) == Drained()


@on_sqlite
def test_settings_by_name_hurry_it(engine: Engine, destination: ThreadedFakeServer) -> None:
    """With a schedule of nothing every attempt follows at once; a name that is none is a TypeError."""
    destination.script = "per-key: 500 x3, ok"
    put(engine, "one")
    assert drain(engine, destination, retry_schedule=(0.0,)) == Drained(delivered=1, rescheduled=3)
    with pytest.raises(TypeError, match="retry_schedul"):
        drain(engine, destination, retry_schedul=(0.0,))
    with pytest.raises(TypeError, match="endpoint"):
        drain(engine, destination, endpoint="https://app.overcentric.com/")


def test_inside_an_event_loop(database: Database, destination: ThreadedFakeServer) -> None:
    """From an async test with an AsyncEngine; a server in the test's own loop needs a thread for the call."""

    async def story() -> None:
        engine = create_async_engine(database.async_url())
        for name in ("one", "two"):
            async with AsyncSession(engine) as session, session.begin():
                outbox.enqueue(session, event(name))
            if name == "one":
                assert drain(engine, destination) == Drained(delivered=1)
            else:
                async with FakeServer() as server:
                    assert await asyncio.to_thread(drain, engine, server) == Drained(delivered=1)
                    assert [each.name for each in server.received] == ["two"]
        await engine.dispose()

    asyncio.run(story())
    assert [each.name for each in destination.received] == ["one"]


@on_sqlite
def test_the_process_is_left_as_it_was(engine: Engine, destination: ThreadedFakeServer) -> None:
    """No signal handler, no other switch interval, nothing frozen for the collector: the process is the tests'."""

    def state() -> tuple[object, ...]:
        handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
        return (*handlers, sys.getswitchinterval(), gc.get_threshold(), gc.get_freeze_count())

    before = state()
    put(engine, "one")
    drain(engine, destination)
    assert state() == before


@on_sqlite
def test_nothing_is_sent_elsewhere(
    engine: Engine, destination: ThreadedFakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment says of databases, endpoints, proxies and delivery; other destinations' are left."""
    with fake_server() as elsewhere, fake_server("200", path=None) as crm:
        monkeypatch.setenv("OUTBOX_ENDPOINT", elsewhere.url)
        monkeypatch.setenv("OUTBOX_PROXY", elsewhere.url.removesuffix("/api/v1/event"))
        monkeypatch.setenv("OUTBOX_DESTINATION_CRM_PROXY", elsewhere.url.removesuffix("/api/v1/event"))
        monkeypatch.setenv("OUTBOX_DELIVERY", "off")
        monkeypatch.setenv("OUTBOX_DATABASE_URL", "sqlite:////nowhere/outbox.db")
        monkeypatch.setenv("OUTBOX_DESTINATION_CRM_URL", elsewhere.url)
        monkeypatch.setenv("OUTBOX_DESTINATION_CRM_SECRET", SECRET)
        put(engine, "one")
        with engine.begin() as connection:
            outbox.enqueue(connection, {"type": "user.created"}, destination="crm")
        drained = drain(engine, destination)
        assert drained == Drained(delivered=1, later="1 due for crm, which is not configured here")
        assert drain(engine, destination.url, others={"crm": crm}) == Drained(delivered=1)
        assert elsewhere.count == 0
        assert (destination.count, crm.count) == (1, 1)
        assert "webhook-signature" in crm.received[0].headers


@on_sqlite
def test_what_cannot_be_sent_now_is_told(engine: Engine) -> None:
    """A destination that is out of reach leaves everything for later, and says why."""
    with fake_server() as gone:
        url = gone.url
    put(engine, "one")
    drained = drain(engine, url)
    assert drained.delivered == 0
    assert "overcentric cannot be reached: " in str(drained.later)


@on_sqlite
def test_it_ends_in_time(engine: Engine, destination: ThreadedFakeServer) -> None:
    """A destination that never answers does not hold up the tests for ever."""
    destination.script = "hang"
    put(engine, "one")
    with pytest.raises(TimeoutError, match=r"not done within 0\.5 s: 0 delivered"):
        drain(engine, destination, within=0.5, drain_timeout=0.1)


def test_a_database_that_nobody_else_sees(destination: ThreadedFakeServer) -> None:
    """In memory only the connection that made it sees it: said, with what to do, and nothing is started."""
    for url in ("sqlite://", "sqlite:///:memory:"):
        engine = create_engine(url)
        with pytest.raises(ConfigurationError, match="Give the test a file: create_engine"):
            drain(engine, destination)
        engine.dispose()


def test_a_database_without_the_tables(destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """As the worker says it."""
    engine = create_engine(f"sqlite:///{tmp_path}/empty.db")
    with engine.connect():
        pass
    with pytest.raises(SchemaOutdated, match="outbox db upgrade"):
        drain(engine, destination)
    engine.dispose()
