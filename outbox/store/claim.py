"""Claim: a lease on due messages, in one short transaction with no HTTP inside."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, Select, Update, bindparam, case, exists, literal_column, select, update

from outbox.clock import lease_clock
from outbox.message import Attempt, Certainty, Claim, Failed, FailureReason, Message, OnUnknown
from outbox.schema import destination, message, utc_after, utc_now
from outbox.store.settle import write_failed
from outbox.store.statements import IS_DUE, IS_FREE, IS_HELD, IS_PENDING, IS_UNKEYED, id_among, text_id

SUSPECT = 2
"""Claims lost with their worker after which a message is claimed alone."""

LOST = 3
"""Claims lost with their worker after which a message is failed (`worker_lost`)."""


class Choice(Enum):
    """Which of the due messages to claim."""

    ANY = "any"
    """All but suspects; says whether there are any."""
    CALM = "calm"
    """Only those that are no suspects, however many of them stand before."""
    SUSPECT = "suspect"
    """Only suspects, for a worker that has nothing else in hand."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim took, and what it left."""

    messages: Sequence[Message]
    suspects: bool = False
    """Whether suspects were found."""


def claim(connection: Connection, name: str, choice: Choice, *, limit: int, free: int, lease: float) -> Claimed:
    """Claim up to `limit` due messages of the destination `name` for `lease` seconds.

    `free` is the number of senders that wait for work. Messages to be parked in doubt are claimed only for
    those: a queued one would be parked for nothing if the worker died. Selecting and updating are two
    statements on purpose: in one, PostgreSQL may run the limited subquery twice and claim more.
    """
    began = lease_clock()
    held = Claim(uuid4(), began + lease)
    query = _select_due(connection.dialect.name, choice, with_parked=free > 0)
    rows = connection.execute(query, {"destination": name, "limit": limit}).all()
    chosen = _choose(rows, choice, free)
    doomed = [(_claimed(row, name, held), _last_words(row, began)) for row in chosen.doomed]
    if chosen.taken or doomed:
        ids = [row.id for row in (*chosen.taken, *chosen.doomed)]
        connection.execute(_take(connection.dialect.name), {"ids": ids, "token": held.token, "lease": lease})
    if doomed:
        write_failed(connection, doomed)
    return Claimed([_claimed(row, name, held) for row in chosen.taken], chosen.suspects)


@dataclass(frozen=True, slots=True)
class _Chosen:
    taken: Sequence[Row[Any]]
    doomed: Sequence[Row[Any]] = ()
    suspects: bool = False


def _choose(rows: Sequence[Row[Any]], choice: Choice, free: int) -> _Chosen:
    """Sort out what earlier claims tell: a crash is evidence against a message, not a charge."""
    if not any(row.lost or row.expired or row.on_unknown == OnUnknown.PARK for row in rows):
        return _Chosen(rows)
    doomed = [row for row in rows if _is_doomed(row)]
    alive = [row for row in rows if not _is_doomed(row)]
    if choice is Choice.SUSPECT:
        return _Chosen(alive, doomed, suspects=True)
    calm = [row for row in alive if _losses(row) < SUSPECT]
    taken = [row for place, row in enumerate(calm) if place < free or row.on_unknown != OnUnknown.PARK]
    return _Chosen(taken, doomed, suspects=len(calm) < len(alive))


def _losses(row: Row[Any]) -> int:
    """Claims lost so far, the one that has just expired included."""
    return int(row.lost) + bool(row.expired)


def _is_doomed(row: Row[Any]) -> bool:
    return _losses(row) >= LOST or bool(row.expired and row.on_unknown == OnUnknown.PARK)


def _last_words(row: Row[Any], began: float) -> Failed:
    reason = FailureReason.WORKER_LOST if _losses(row) >= LOST else FailureReason.UNKNOWN
    times = "three times" if reason is FailureReason.WORKER_LOST else "once"
    error = f"its worker was lost {times} before it could say what became of it"
    return Failed(reason, Attempt(began, 0.0, 0, Certainty.UNKNOWN, error))


# Claims lost so far, the one that has just expired included.
_LOSSES = message.c.lost + case((IS_HELD, 1), else_=0)


def _claimed(row: Row[Any], name: str, held: Claim) -> Message:
    return Message._make((*row[:5], name, held))


@functools.cache
def _select_due(dialect_name: str, choice: Choice, *, with_parked: bool) -> Select[Any]:
    columns = message.c
    paused = exists().where(destination.c.name == bindparam("destination"), destination.c.paused_until > utc_now())
    query = (
        select(text_id(dialect_name), columns.name, columns.body, columns.attempts, columns.on_unknown)
        .add_columns(columns.lost, IS_HELD.label("expired"))
        .where(columns.destination == bindparam("destination"), IS_PENDING, IS_UNKEYED, IS_DUE, IS_FREE, ~paused)
        .order_by(columns.due_at, columns.id)
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True)
        # On a short table MariaDB prefers another index and sorts, which locks every row that is due: the next
        # worker would get nothing.
        .with_hint(message, "FORCE INDEX (outbox_message_pending)", "mysql")
    )
    if not with_parked:
        query = query.where(columns.on_unknown == literal_column("'retry'"))
    if choice is not Choice.ANY:
        query = query.where(_LOSSES >= SUSPECT if choice is Choice.SUSPECT else _LOSSES < SUSPECT)
    return query


@functools.cache
def _take(dialect_name: str) -> Update:
    # `lost` comes first: MySQL evaluates SET from left to right, on values already changed.
    return (
        update(message)
        .where(id_among(dialect_name))
        .ordered_values(
            (message.c.lost, _LOSSES),
            (message.c.claim_token, bindparam("token")),
            (message.c.claimed_until, utc_after(bindparam("lease"))),
        )
    )
