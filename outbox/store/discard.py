"""Discard: an operator gives messages up. They are failed for good, and hold up nobody behind them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, literal_column, null, select, update

from outbox.message import FailureReason, State
from outbox.schema import message, utc_now
from outbox.store.look import Filters
from outbox.store.statements import BY_ID, IS_FREE, IS_PENDING, id_among

_FAILED = and_(
    message.c.state == literal_column("'failed'"),
    message.c.failure_reason != literal_column(f"'{FailureReason.DISCARDED.value}'"),
)
_DISCARDED: dict[str, Any] = {"failure_reason": FailureReason.DISCARDED.value}

# The token goes with the lease: whoever held the message and comes late finds that it has lost it.
_GIVEN_UP = _DISCARDED | {
    "state": State.FAILED.value,
    "settled_at": utc_now(),
    "claim_token": null(),
    "claimed_until": null(),
}


class Found(NamedTuple):
    """How a message stood."""

    state: State | None
    """None: there is none of that id."""
    discarded: bool
    """Whether it is discarded, now or before."""


def discard(connection: Connection, ids: Iterable[UUID], state: State) -> dict[UUID, Found]:
    """Discard those of the messages that are in that state, `FAILED` or `PENDING`; say how each one stood.

    A pending one that a worker holds is left. The comparison is part of the update: nothing is taken from under a worker.
    """
    return {each: _discard_one(connection, each, state) for each in sorted(ids)}


def discard_some(connection: Connection, filters: Filters, ids: Sequence[str]) -> int:
    """Discard those of the messages that still match and that no worker holds; give their number."""
    name, state = connection.dialect.name, filters.state or State.FAILED
    statement = update(message).where(id_among(name), *filters.conditions(name), _can_be(state)).values(_values(state))
    return connection.execute(statement.with_hint(BY_ID, dialect_name="mysql"), {"ids": ids}).rowcount


def _discard_one(connection: Connection, message_id: UUID, state: State) -> Found:
    this = message.c.id == message_id
    if connection.execute(update(message).where(this, _can_be(state)).values(_values(state))).rowcount:
        return Found(state, discarded=True)
    row = connection.execute(select(message.c.state, message.c.failure_reason).where(this)).one_or_none()
    if row is None:
        return Found(None, discarded=False)
    return Found(State(row.state), discarded=row.failure_reason == FailureReason.DISCARDED)


def _can_be(state: State) -> ColumnElement[bool]:
    return and_(IS_PENDING, IS_FREE) if state is State.PENDING else _FAILED


def _values(state: State) -> dict[str, Any]:
    return _GIVEN_UP if state is State.PENDING else _DISCARDED
