"""Users' code, for mypy --strict: what the public surface promises to a type checker. Nothing here is run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type
from uuid import UUID

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

import outbox
from outbox import Event, Identity, OutboxError, enqueue, enqueue_async


class OwnSession(Session):
    """Such as SQLModel's."""


def synchronous(session: Session, scoped: scoped_session[Session], own: OwnSession, connection: Connection) -> None:
    """Each synchronous target."""
    event = Event("order_placed", device_id="device", session_id="session", context="product")
    assert_type(enqueue(session, event), UUID)
    outbox.enqueue(scoped, event, identity=Identity("user", email="user@example.com"))
    outbox.enqueue(own, Event.server("job_done", properties={"seconds": 1.5}), dedup_key="job-1")
    outbox.enqueue(session, event, ordering_key="customer-7")
    outbox.enqueue(connection, event, delay=timedelta(minutes=5), on_unknown="park")
    outbox.enqueue(connection, event, deliver_at=datetime.now(UTC), destination="overcentric")
    assert_type(outbox.enqueue_many(session, [event, event]), list[UUID])


def bodies(session: Session, body: Mapping[str, Any], posted: dict[str, Any]) -> None:
    """The documented request body, and every mixture of a list."""
    outbox.enqueue(session, body)
    outbox.enqueue(session, {"event": {"name": "order_placed"}, "identity": {"unique_identifier": "user"}})
    event = Event.server("order_placed")
    outbox.enqueue_many(session, [body, posted, event])
    outbox.enqueue_many(
        session, [(event, Identity("user")), (event, None), (body, None), event], dedup_keys=["a", None, "b", "c"]
    )
    outbox.enqueue_many(session, (event for _ in range(3)))
    outbox.enqueue_many(session, [posted])
    outbox.enqueue_many(session, [posted, event], ordering_keys=("customer-7", None))


async def asynchronous(
    session: AsyncSession, scoped: async_scoped_session[AsyncSession], connection: AsyncConnection
) -> None:
    """Each asynchronous target, with await and without."""
    event = Event.server("order_placed")
    assert_type(enqueue(session, event), UUID)
    outbox.enqueue(scoped, event)
    assert_type(await enqueue_async(session, event, dedup_key="key"), UUID)
    await outbox.enqueue_async(scoped, event, ordering_key="customer-7")
    await outbox.enqueue_async(connection, {"event": {}})
    assert_type(await outbox.enqueue_many_async(connection, [event]), list[UUID])
    await outbox.enqueue_many_async(connection, [event], ordering_keys=["customer-7"])


def refused(engine: Engine, connection: AsyncConnection) -> None:
    """What the checker refuses before the outbox does."""
    outbox.enqueue(engine, {"event": {}})  # type: ignore[arg-type]
    outbox.enqueue(connection, {"event": {}})  # type: ignore[arg-type]
    outbox.enqueue(Session(engine), {"event": {}}, on_unknown="parc")  # type: ignore[arg-type]
    outbox.enqueue(Session(engine), {"event": {}}, ordering_key=7)  # type: ignore[arg-type]


def errors(engine: Engine, asynchronous_engine: AsyncEngine) -> str:
    """Errors and the engine's set-up."""
    outbox.sqlite.configure(engine, immediate=True)
    outbox.sqlite.configure(asynchronous_engine)
    try:
        outbox.enqueue(Session(engine), {"event": {}})
    except outbox.EventRefused as refusal:
        return ", ".join(problem.field for problem in refusal.problems)
    except OutboxError as error:
        return assert_type(error.hint, str)
    return assert_type(outbox.__version__, str)
