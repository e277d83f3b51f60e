"""`enqueue` and `enqueue_many`: events into the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from outbox.event import Identity
from outbox.producer import rows, targets
from outbox.producer.options import OnUnknownWord
from outbox.producer.rows import Batch, Body, Entry
from outbox.producer.targets import Target
from outbox.producer.write import write_many, write_one

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


def enqueue(  # noqa: PLR0913 - each is an option by name
    target: Target,
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
    """Write an event into the transaction of `target`, and return its message's id: sent once that transaction has
    committed; if it, or the savepoint, rolls back, never.

    `target`: a SQLAlchemy Session, scoped_session or Connection: the INSERT happens at once. An AsyncSession, without
    await: at its next flush. For an AsyncConnection, or with a `dedup_key`: `await outbox.enqueue_async(…)`.
    `event`: an `Event`, or the Event API's documented request body as a dict. `identity`: who did it.
    `dedup_key`: 1 to 200 characters, such as a webhook's delivery id. The first committed message with a key owns it; a
    repeat creates nothing and returns the owner's id. It waits while another transaction with the key is open. Keys
    are kept apart from messages: purging messages forgets none.
    `ordering_key`: 1 to 200 characters, such as a customer's id. Of messages that share one at a destination: if the
    first one's transaction committed before the second was enqueued, the first arrives first. No other order is
    promised. They are sent one at a time; while one waits for its next attempt the others of its key wait behind it.
    What happens behind a failed one is the worker's setting OUTBOX_BEHIND_FAILED: `pass` (default: the next is sent)
    or `block` (the key waits until an operator sends the failed one again). Not with `delay` or `deliver_at`.
    `delay`: seconds or a timedelta from now by the database's clock, at most 10 years; or `deliver_at`: aware datetime.
    `on_unknown`: `"retry"` (at least once), or `"park"`: when it is in doubt whether the destination has processed the
    event, leave it to a person. None: as the destination's setting says, or OUTBOX_PARK by the event's name, or retry.
    `destination`: a configured name. A webhook takes any JSON value as its event, and no identity.

    Raises, before anything is written, `EventRefused` (the event or an option can never be right; all problems are
    named), `TargetRefused` (that object holds no transaction), `AutocommitRefused`, `SavepointRefused` (SQLite's stock
    driver; for an AsyncSession without await these two come from the flush), `EnqueueRefused` (the transaction has
    ended), `ConfigurationError`; and `SchemaOutdated` where `outbox db upgrade` has not run.

    Other errors of the database come through as SQLAlchemy raises them. After these, roll back and run the whole
    transaction again, which a `dedup_key` makes safe even if a COMMIT that failed has landed: PostgreSQL 40001
    (serialization failure, under REPEATABLE READ and above) and 40P01 (deadlock); MariaDB and MySQL 1020 (record has
    changed), 1205 (lock wait timeout) and 1213 (deadlock); SQLite "database is locked".
    """
    carrier = targets.recognised(target)
    given = {"destination": destination, "on_unknown": on_unknown, "delay": delay, "deliver_at": deliver_at}
    batch = rows.one(event, identity, dedup_key, ordering_key, given)
    if targets.is_async_session(carrier):
        return _add(carrier, batch)[0]
    return write_one(targets.connection_of(carrier), batch)


def enqueue_many(
    target: Target,
    events: Iterable[Entry],
    *,
    dedup_keys: Sequence[str | None] | None = None,
    ordering_keys: Sequence[str | None] | None = None,
    delay: timedelta | float | None = None,
    deliver_at: datetime | None = None,
    on_unknown: OnUnknownWord | None = None,
    destination: str = "overcentric",
) -> list[UUID]:
    """Write many events in few statements, and return their messages' ids in order.

    Each of `events` is an `Event`, a documented request body, or a pair of one of these and its `Identity` or None.
    All are checked before the first is written; problems say which (`events[3].event.context`). `dedup_keys` has a
    key or None for each event; of those that share a key the first is written. `ordering_keys` has a key or None for
    each event, too. Otherwise as `enqueue`.
    """
    carrier = targets.recognised(target)
    given = {"destination": destination, "on_unknown": on_unknown, "delay": delay, "deliver_at": deliver_at}
    batch = rows.many(events, dedup_keys, ordering_keys, given)
    if targets.is_async_session(carrier):
        return _add(carrier, batch)
    return write_many(targets.connection_of(carrier), batch)


def _add(session: AsyncSession, batch: Batch) -> list[UUID]:
    from outbox.producer.queued import add  # it imports sqlalchemy.orm, as the session has done

    add(session, batch)
    return batch.ids
