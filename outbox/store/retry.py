"""Retry: an operator sends failed messages again. Same id, same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, literal_column, null, select, update

from outbox.message import State
from outbox.schema import message, utc_now

# What was recorded of earlier attempts stays, until the next one has something to say.
_FRESH = {
    "state": "pending",
    "due_at": utc_now(),
    "attempts": 0,
    "lost": 0,
    "claim_token": null(),
    "claimed_until": null(),
    "settled_at": null(),
    "failure_reason": null(),
}


def retry(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, State | None]:
    """Make failed messages pending and due now, in the connection's transaction.

    Returns the state that each was found in: `FAILED` is pending again, the others are unchanged; None is unknown.
    The comparison is part of the update, so that two operators, or an operator and a worker, cannot both win.
    """
    # In one order for everybody, so that two operators never wait for each other crosswise.
    return {each: _retry_one(connection, each) for each in sorted(ids)}


def _retry_one(connection: Connection, message_id: UUID) -> State | None:
    this = message.c.id == message_id
    is_failed = message.c.state == literal_column("'failed'")
    while True:
        if connection.execute(update(message).where(this, is_failed).values(_FRESH)).rowcount:
            return State.FAILED
        found = connection.execute(select(message.c.state).where(this)).scalar_one_or_none()
        if found != State.FAILED:
            return None if found is None else State(found)
        # It has become failed between the two statements: the next update is the one that counts.
