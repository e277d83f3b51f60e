"""`outbox.testing.assert_enqueued` and its kin: what a test asks of its own transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import ANY

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import outbox
from outbox.testing import (
    all_enqueued,
    all_enqueued_async,
    assert_enqueued,
    assert_enqueued_async,
    refute_enqueued,
    refute_enqueued_async,
)
from support.applications import event
from support.commands import add
from support.databases import Database

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Give the application's engine."""
    made = create_engine(database.url)
    outbox.sqlite.configure(made)
    yield made
    made.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """Give the application's session, which never commits."""
    with Session(engine) as made:
        yield made


def said(action: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        action()
    return str(caught.value)


def test_nothing_needs_to_be_committed(session: Session, engine: Engine) -> None:
    """The test's own transaction sees the message; another one, and the same after a rollback, does not."""
    made = outbox.enqueue(
        session, event(properties={"plan": "premium"}), ordering_key="customer:1", dedup_key="order:1"
    )
    found = assert_enqueued(session, "order_placed")
    assert (found.id, found.ordering_key, found.state, found.destination) == (
        made,
        "customer:1",
        "pending",
        "overcentric",
    )
    assert found.event["project_id"] == "project"
    with engine.connect() as other:
        refute_enqueued(other)
    session.rollback()
    refute_enqueued(session)


@on_sqlite
def test_what_holds_a_transaction_can_be_asked(engine: Engine) -> None:
    """A connection, and a scoped session; what holds none is refused, with a next step that fits a test."""
    with engine.begin() as connection:
        outbox.enqueue(connection, event())
        assert assert_enqueued(connection, "order_placed").name == "order_placed"
    scoped = scoped_session(sessionmaker(engine))
    assert_enqueued(scoped, "order_placed")
    scoped.remove()
    for wrong in (engine, None, "session"):
        with pytest.raises(outbox.TargetRefused, match="Hand in the session or connection that the code under test"):
            assert_enqueued(wrong, "order_placed")  # type: ignore[arg-type]


WHEN = datetime(2026, 1, 31, 12, tzinfo=UTC)
MATCHES: list[dict[str, Any]] = [
    {"properties": {"plan": "premium"}},
    {"properties": {"price": Decimal("29.99")}},
    {"properties": {"price": 29.99, "ordered": WHEN}},
    {"properties": {"lines": [{"sku": "a"}, {"sku": ANY}]}},
    {"properties": {"price": pytest.approx(30, abs=0.1)}},
    {"identity": {"unique_identifier": "user_1"}},
    {"identity": outbox.Identity("user_1", email="user@example.com")},
    {"context": "product", "device_id": "webhook", "session_id": "webhook", "project_id": "project", "url": None},
    {"ordering_key": "customer:1", "dedup_key": "order:1", "on_unknown": "park", "state": "pending"},
    {"destination": "overcentric", "body": {"event": {"name": "order_placed"}}},
]
MISMATCHES: list[tuple[dict[str, Any], str]] = [
    ({"properties": {"plan": "basic"}}, "properties.plan is 'premium', not 'basic'"),
    ({"properties": {"gift": True}}, "properties.gift is False, not True"),
    ({"properties": {"gift": 0}}, "properties.gift is False, not 0"),
    ({"properties": {"size": 7}}, "properties.size is not there"),
    ({"properties": {"lines": [{"sku": "a"}]}}, "not [{'sku': 'a'}]"),
    ({"properties": {"lines": [{"sku": "a"}, {"sku": "c"}]}}, "properties.lines[1].sku is 'b', not 'c'"),
    ({"identity": {"unique_identifier": "user_2"}}, "identity.unique_identifier is 'user_1', not 'user_2'"),
    ({"context": "website"}, "context is 'product', not 'website'"),
    ({"ordering_key": None}, "ordering_key is 'customer:1', not None"),
    ({"dedup_key": "order:2"}, "its dedup_key is another"),
    ({"state": "delivered"}, "state is 'pending', not 'delivered'"),
]


def place(session: Session) -> None:
    lines = [{"sku": "a", "count": 1}, {"sku": "b", "count": 2}]
    properties = {"plan": "premium", "price": Decimal("29.99"), "ordered": WHEN, "lines": lines, "gift": False}
    identity = outbox.Identity("user_1", email="user@example.com", name="John Doe")
    options: dict[str, Any] = {"ordering_key": "customer:1", "dedup_key": "order:1", "on_unknown": "park"}
    outbox.enqueue(session, event(properties=properties), identity=identity, **options)


@on_sqlite
@pytest.mark.parametrize("match", MATCHES)
def test_a_message_is_matched_by_what_is_given(session: Session, match: dict[str, Any]) -> None:
    """Objects by their keys, values as `enqueue` writes them, or as Python compares them."""
    place(session)
    assert_enqueued(session, "order_placed", **match)
    assert len(all_enqueued(session, **match)) == 1
    with pytest.raises(AssertionError, match="1 enqueued that should not be"):
        refute_enqueued(session, **match)


@on_sqlite
@pytest.mark.parametrize(("match", "why"), MISMATCHES)
def test_a_failure_says_where_they_differ(session: Session, match: dict[str, Any], why: str) -> None:
    """In the one field that does."""
    place(session)
    text = said(lambda: assert_enqueued(session, "order_placed", **match))
    assert why in text.splitlines()[1]
    refute_enqueued(session, "order_placed", **match)


def test_a_failure_lists_what_is_enqueued_nearest_first(session: Session) -> None:
    """First those of that name, by how little they differ; then those with names like it."""
    assert said(lambda: assert_enqueued(session, "order_placed")) == "no event 'order_placed' is enqueued; nothing is"
    outbox.enqueue(session, event("unrelated"))
    far = outbox.enqueue(session, event(properties={"plan": "basic"}), ordering_key="b")
    near = outbox.enqueue(session, event(properties={"plan": "basic"}), ordering_key="a")
    like = outbox.enqueue(session, event("order_places"))
    text = said(lambda: assert_enqueued(session, "order_placed", properties={"plan": "premium"}, ordering_key="a"))
    first, *lines = text.splitlines()
    asked = "properties={'plan': 'premium'}, ordering_key='a'"
    assert first == f"no event 'order_placed' with {asked} is enqueued. These are, the nearest first:"
    assert lines[0] == f"  order_placed {near} (pending): properties.plan is 'basic', not 'premium'"
    assert lines[1].startswith(
        f"  order_placed {far} (pending): properties.plan is 'basic', not 'premium'; ordering_key"
    )
    assert lines[2] == f"  order_places {like} (pending)"
    assert lines[3].startswith("  unrelated ")


@on_sqlite
def test_a_misspelt_field_is_no_match(session: Session) -> None:
    """It would refute everything."""
    for call in (assert_enqueued, refute_enqueued, all_enqueued):
        with pytest.raises(TypeError, match=r"a message has no field 'propertis' \(did you mean properties\?\)"):
            call(session, "order_placed", propertis={})  # type: ignore[call-arg]


@on_sqlite
def test_a_failure_commands_no_terminal(session: Session, database: Database) -> None:
    """Stored text is somebody else's."""
    add(database, name="\x1b[2Jorder")
    text = said(lambda: assert_enqueued(session, "order"))
    assert "\x1b" not in text
    assert r"\x1b[2Jorder" in text


@on_sqlite
def test_the_newest_is_given_and_all_are_in_order(session: Session) -> None:
    """More of them than are read at once."""
    ids = outbox.enqueue_many(session, [event(properties={"number": number}) for number in range(1100)])
    outbox.enqueue(session, event("other"))
    assert [each.id for each in all_enqueued(session, "order_placed")] == ids
    assert len(all_enqueued(session)) == 1101
    assert assert_enqueued(session, "order_placed").id == ids[-1]
    assert assert_enqueued(session, "order_placed", properties={"number": 3}).id == ids[3]
    text = said(lambda: assert_enqueued(session, "order_placed", properties={"number": -1}))
    assert "the nearest first; 10 of 100:" in text
    assert len(text.splitlines()) == 11


@on_sqlite
def test_a_webhook_is_matched_by_its_body(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is its type; of an event it has nothing."""
    monkeypatch.setenv("OUTBOX_DESTINATION_CRM_URL", "https://crm.example/hooks")
    outbox.enqueue(session, {"type": "user.created", "data": {"id": 1}}, destination="crm")
    found = assert_enqueued(session, "user.created", destination="crm", body={"data": {"id": 1}})
    assert (found.event, found.identity, found.properties) == ({}, {}, {})
    text = said(lambda: assert_enqueued(session, "user.created", body={"data": {"id": 2}}))
    assert f"user.created for crm {found.id} (pending): body.data.id is 1, not 2" in text


def test_an_async_session(database: Database) -> None:
    """What was enqueued without await is flushed first; on a connection of an async engine, too."""

    async def story() -> None:
        engine = create_async_engine(database.async_url())
        async with AsyncSession(engine) as session:
            outbox.enqueue(session, event(properties={"plan": "premium"}))
            found = await assert_enqueued_async(session, "order_placed", properties={"plan": "premium"})
            assert [each.id for each in await all_enqueued_async(session)] == [found.id]
            with pytest.raises(AssertionError, match="1 enqueued that should not be"):
                await refute_enqueued_async(session, "order_placed")
            with pytest.raises(AssertionError, match="not 'basic'"):
                await assert_enqueued_async(session, "order_placed", properties={"plan": "basic"})
            await session.rollback()
            await refute_enqueued_async(session)
        async with engine.connect() as connection:
            await outbox.enqueue_async(connection, event())
            await assert_enqueued_async(connection, "order_placed")
            await refused(connection)
        await engine.dispose()

    asyncio.run(story())


async def refused(connection: AsyncConnection) -> None:
    """The call without await names the one with it, and the other way round."""
    with pytest.raises(outbox.TargetRefused, match=r"await assert_enqueued_async\(session"):
        assert_enqueued(connection, "order_placed")  # type: ignore[arg-type]
    with pytest.raises(outbox.TargetRefused, match="Hand in the session or connection"):
        await assert_enqueued_async("session", "order_placed")  # type: ignore[arg-type]
