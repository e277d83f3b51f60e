"""Retry: an operator sends failed messages again. Same id, same bytes.

At a rate: a message without a key is due when its turn comes, and until then no claim sees it. Claims take what has been due
longest, so that none of them stands before a live message that was due earlier; and nobody has to stay to pace them.

A message with a key is left failed until its turn: pending, it would be the head of its key at once, and what is live
behind it would wait for its time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, Float, bindparam, func, literal_column, null, select, update

from outbox.message import State
from outbox.schema import message, utc_after, utc_now
from outbox.store.look import Filters
from outbox.store.statements import BY_ID, HAS_BODY, id_among

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


ERASED: Literal["erased"] = "erased"
"""Instead of a state: the message has failed, and its body is erased. There is nothing to send."""

Found: TypeAlias = State | Literal["erased"] | None


def retry(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Found]:
    """Make failed messages pending and due now, in the connection's transaction.

    Returns what each was found as: `FAILED` is pending again, the others are unchanged; None is unknown.
    The comparison is part of the update, so that two operators, or an operator and a worker, cannot both win.
    """
    # In one order for everybody, so that two operators never wait for each other crosswise.
    return {each: _retry_one(connection, each) for each in sorted(ids)}


def _retry_one(connection: Connection, message_id: UUID) -> Found:
    this = message.c.id == message_id
    is_failed = message.c.state == literal_column("'failed'")
    while True:
        if connection.execute(update(message).where(this, is_failed, HAS_BODY).values(_FRESH)).rowcount:
            return State.FAILED
        found = connection.execute(select(message.c.state, HAS_BODY.label("has_body")).where(this)).one_or_none()
        if found is None:
            return None
        if found.state != State.FAILED:
            return State(found.state)
        if not found.has_body:
            return ERASED
        # It has become failed between the two statements: the next update is the one that counts.


def retry_some(connection: Connection, filters: Filters, ids: Sequence[str]) -> int:
    """Make those of the messages that still match pending and due now; give their number."""
    name = connection.dialect.name
    statement = update(message).where(id_among(name), HAS_BODY, *filters.conditions(name)).values(_FRESH)
    return connection.execute(statement.with_hint(BY_ID, dialect_name="mysql"), {"ids": ids}).rowcount


class Spread(NamedTuple):
    """What became pending, and when the turn of the next one comes."""

    changed: int
    next: datetime


def retry_spread(
    connection: Connection, filters: Filters, ids: Sequence[str], *, gap: float, start: datetime | None
) -> Spread:
    """Make those of the messages that still match pending, due `gap` seconds after one another.

    The first is due at `start`, or now if that has passed: however long a step took, it is followed by no burst.
    """
    name = connection.dialect.name
    now: datetime = connection.execute(select(utc_now())).scalar_one()
    first = max(now, start or now)
    turn = select(message.c.id, func.row_number().over(order_by=message.c.id).label("turn"))
    turns = turn.where(id_among(name)).subquery("turns")
    behind = (turns.c.turn - literal_column("1")) * bindparam("gap", type_=Float())
    statement = (
        update(message)
        # The ids once more: without statistics PostgreSQL would look through all failed messages for each turn.
        .where(message.c.id == turns.c.id, id_among(name), HAS_BODY, *filters.conditions(name))
        .values(_FRESH | {"due_at": utc_after(behind, first)})
    )
    changed = connection.execute(statement, {"ids": ids, "gap": gap}).rowcount
    return Spread(changed, first + timedelta(seconds=gap * len(ids)))
