"""Enqueue on an AsyncSession without await: an object that the session's own flush writes.

A forgotten `await` would be a lost event, so `enqueue` works there without one. The class is mapped in a
registry of our own: the application's declarative base does not know it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, event
from sqlalchemy.orm import Mapper, Session, registry
from sqlalchemy.orm.attributes import instance_state

from outbox.errors import TargetRefused
from outbox.producer import guard
from outbox.producer.rows import Batch
from outbox.producer.targets import ended
from outbox.producer.wake import wake
from outbox.schema import message, utc_after

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

_WRITTEN = ("id", "destination", "name", "body", "ordering_key", "on_unknown", "occurred_at", "due_at")


class QueuedMessage:
    """A message on its way into `outbox_message`."""

    def __init__(self, row: dict[str, Any], *, wakes: bool) -> None:
        self.wakes = wakes
        for column, value in row.items():
            setattr(self, column, value)


# Without eager defaults: the flush need not read back what the database's clock said.
registry().map_imperatively(QueuedMessage, message, include_properties=_WRITTEN, eager_defaults=False)


@event.listens_for(QueuedMessage, "before_insert")
def _check(_mapper: Mapper[Any], connection: Connection, target: QueuedMessage) -> None:
    guard.check(connection)
    if target.wakes:
        wake(connection)


def add(session: AsyncSession, batch: Batch) -> None:
    """Have the session's next flush write the batch. `guard` looks at the connection then, not before."""
    if any(key is not None for key in batch.keys):
        msg = "A dedup_key on an AsyncSession needs an answer of the database"
        raise TargetRefused(msg, hint="Write: await outbox.enqueue_async(session, …)")
    if not session.sync_session.is_active:
        raise ended()
    delay = batch.options.delay
    due = {} if delay is None else {"due_at": utc_after(delay)}
    queued = [QueuedMessage(row | due, wakes=batch.wakes) for row in batch.rows]
    session.add_all(queued)
    if batch.keyed:
        for each, made in zip(queued, batch.ids, strict=True):
            # The flush's order. The session's own is the number of new objects, which an `expunge` makes go backwards.
            instance_state(each).insert_order = made.int


def flush(session: Session) -> None:
    """Write what is queued in the session, if anything is: what is written next must come after it."""
    if any(isinstance(each, QueuedMessage) for each in session.new):
        session.flush()
