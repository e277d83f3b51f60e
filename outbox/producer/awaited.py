"""`enqueue_async` and `enqueue_many_async`: the same for SQLAlchemy's asyncio extension."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from outbox.event import Identity
from outbox.producer import rows, targets
from outbox.producer.options import OnUnknownWord
from outbox.producer.rows import Batch, Body, Entry
from outbox.producer.targets import AsyncTarget
from outbox.producer.write import write_many, write_one

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session


async def enqueue_async(  # noqa: PLR0913 - each is an option by name
    target: AsyncTarget,
    event: Body,
    *,
    identity: Identity | None = None,
    dedup_key: str | None = None,
    ordering_key: str | None = None,
    delay: timedelta | float | None = None,
    deliver_at: datetime | None = None,
    on_unknown: OnUnknownWord | None = None,
    destination: str = "overcentric",
) -> UUID:
    """Write an event into the transaction of an AsyncSession, async_scoped_session or AsyncConnection, at once.

    With an `ordering_key` it first flushes a session on which messages were enqueued without await: they come before.
    Otherwise as `enqueue`.
    """
    carrier = targets.recognised_async(target)
    given = {"destination": destination, "on_unknown": on_unknown, "delay": delay, "deliver_at": deliver_at}
    batch = rows.one(event, identity, dedup_key, ordering_key, given)
    return await carrier.run_sync(_one, batch)


async def enqueue_many_async(
    target: AsyncTarget,
    events: Iterable[Entry],
    *,
    dedup_keys: Sequence[str | None] | None = None,
    ordering_keys: Sequence[str | None] | None = None,
    delay: timedelta | float | None = None,
    deliver_at: datetime | None = None,
    on_unknown: OnUnknownWord | None = None,
    destination: str = "overcentric",
) -> list[UUID]:
    """Write many events in few statements. Otherwise as `enqueue_many` and `enqueue_async`."""
    carrier = targets.recognised_async(target)
    given = {"destination": destination, "on_unknown": on_unknown, "delay": delay, "deliver_at": deliver_at}
    batch = rows.many(events, dedup_keys, ordering_keys, given)
    return await carrier.run_sync(_many, batch)


def _one(target: Session | Connection, batch: Batch) -> UUID:
    return write_one(_connection(target, batch), batch)


def _many(target: Session | Connection, batch: Batch) -> list[UUID]:
    return write_many(_connection(target, batch), batch)


def _connection(target: Session | Connection, batch: Batch) -> Connection:
    if batch.keyed and targets.is_session(target):
        from outbox.producer.queued import flush  # it imports sqlalchemy.orm, as the session has done

        flush(target)
    return targets.connection_of(target)
