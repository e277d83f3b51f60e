"""Claim: a lease on due messages, in one short transaction with no HTTP inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Connection

from outbox.clock import lease_clock
from outbox.message import Claim, Message
from outbox.store.due import Due, lock_due
from outbox.store.evidence import Choice, Chosen, choose
from outbox.store.position import Position
from outbox.store.take import lock_among, take


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim took, and what it left."""

    messages: Sequence[Message]
    suspects: bool = False
    """Whether suspects were found."""
    left: bool = False
    """Whether messages were left that wait for a free sender."""
    more: bool = False
    """Whether there may be more behind `reached`."""
    reached: Position | None = None
    """The last place seen; or the one before what was left."""


def new_claim(lease: float) -> Claim:
    """Make a claim of `lease` seconds, measured from before its transaction."""
    return Claim(uuid4(), lease_clock() + lease)


def claim(
    connection: Connection,
    destination: str,
    choice: Choice,
    *,
    limit: int,
    free: int,
    lease: float,
    after: Position | None = None,
) -> Claimed:
    """Claim up to `limit` messages without a key for `lease` seconds, from behind the position `after` on.

    `free` is the number of senders that wait for work. Selecting and updating are two statements on purpose: in
    one, PostgreSQL may run the limited subquery twice and claim more.
    """
    held = new_claim(lease)
    due = lock_due(connection, destination, choice, held, after=after, limit=limit)
    chosen = choose(due.rows, choice, free)
    messages = take(connection, destination, chosen, held, lease)
    more = len(due.seen) >= limit
    return Claimed(messages, chosen.suspects, chosen.left is not None, more, _reached(due, chosen))


def claim_heads(
    connection: Connection, destination: str, choice: Choice, heads: Sequence[str], *, free: int, lease: float
) -> Claimed:
    """Claim messages that are heads of their keys, as `outbox.store.heads` found them, for `lease` seconds."""
    held = new_claim(lease)
    chosen = choose(lock_among(connection, heads, held), choice, free)
    messages = take(connection, destination, chosen, held, lease)
    return Claimed(messages, chosen.suspects, chosen.left is not None)


def _reached(due: Due, chosen: Chosen) -> Position | None:
    seen = due.seen
    if chosen.left is not None:
        left = due.rows[chosen.left].id
        seen = seen[: next(place for place, row in enumerate(seen) if row.id == left)]
    return Position.of(seen[-1]) if seen else None
