"""Probes: one message is sent to see whether a destination works again. One probe at a time for the whole fleet."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import Connection, Select, Update, bindparam, func, null, or_, select, update

from outbox.message import Message
from outbox.schema import attempt, destination, message, utc_after, utc_now
from outbox.store.claim import new_claim
from outbox.store.evidence import Choice, choose
from outbox.store.gates import Gate, lock, look
from outbox.store.heads import find_heads
from outbox.store.pauses import Grounds, Length, open_again, prolong
from outbox.store.statements import (
    BY_PENDING,
    IS_DUE,
    IS_FREE,
    IS_PENDING,
    IS_UNKEYED,
    OF_DESTINATION,
    id_among,
    text_id,
)
from outbox.store.take import lock_among, take

_CANDIDATES = 50
"""Messages among which the probe's is chosen. More would take longer, and one that is good is found among these."""


_COST = {"retry": 0, "park": 2}
"""What a probe with it may cost, in tries of another: a failed one parks a message for a person."""

_MARGIN = timedelta(seconds=60)
"""What was attempted so shortly before a worker saw the outage may have met it, too, at another worker."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The turn to probe a destination, and the message to do it with, claimed."""

    token: UUID
    message: Message
    charged: bool
    """Whether a failure is charged: not to a message that was attempted in this outage before."""


class Candidate(NamedTuple):
    """A message that a probe could send."""

    id: str
    attempts: int
    on_unknown: str


def find_candidates(connection: Connection, name: str, *, blocks: bool) -> tuple[Choice, Sequence[Candidate]]:
    """The messages among which the probe's is chosen; none while the pause's time runs or another probe has its turn.

    Suspects only where nothing else is due: one of them may end its worker. Takes no lock.
    """
    stands = look(connection, name)
    if stands is not None and (stands.remaining > 0 or _is_taken(stands.row)):
        return Choice.CALM, ()
    for choice in (Choice.CALM, Choice.SUSPECT):
        # Both kinds: where one has only messages that always fail, the other may have one that does not.
        if found := [*_longest_due(connection, name, choice), *_heads(connection, name, choice, blocks=blocks)]:
            return choice, found
    return Choice.CALM, ()


def probe(
    connection: Connection, name: str, choice: Choice, candidates: Sequence[Candidate], *, turn: float, lease: float
) -> Probe | None:
    """Take the turn to probe for `turn` seconds and claim one of the candidates for `lease` seconds: both or neither."""
    token = uuid4()
    stands = lock(connection, name)
    if not connection.execute(_take_turn(), {"wanted": name, "token": token, "turn": turn}).rowcount:
        return None
    tried = _attempts_since(connection, stands.row.failing_since, candidates)
    held = new_claim(lease)
    for each in sorted(candidates, key=lambda each: (tried.get(each.id, 0) + _COST[each.on_unknown], each.attempts)):
        # One by one: most often the first can be had, and the others are left to whoever wants them.
        rows = lock_among(connection, [each.id], held)
        taken = take(connection, name, choose(rows, choice, free=1), held, lease)
        if taken:
            return Probe(token, taken[0], charged=each.id not in tried)
    _give_back(connection, name, token)
    return None


def reopen(connection: Connection, name: str, token: UUID) -> bool:
    """Open the destination: its probe has succeeded. False where the turn was another's by then; nothing changes."""
    stands = lock(connection, name)
    if stands.row.probe_token != token:
        return False
    open_again(connection, stands)
    return True


def pause_again(connection: Connection, name: str, token: UUID, grounds: Grounds, length: Length) -> Gate:
    """Pause the destination anew: its probe has failed. Nothing changes where the turn was another's by then."""
    stands = lock(connection, name)
    if stands.row.probe_token != token:
        return stands.gate()
    return prolong(connection, stands, grounds, length)


def end_turn(connection: Connection, name: str, token: UUID) -> None:
    """Give the turn back: nothing was learnt. The next probe may begin at once."""
    _give_back(connection, name, token)


def _is_taken(row: Any) -> bool:
    return row.probe_token is not None and row.probe_until > row.now


def _longest_due(connection: Connection, name: str, choice: Choice) -> Sequence[Candidate]:
    rows = connection.execute(_due(connection.dialect.name, choice), {"destination": name, "limit": _CANDIDATES})
    return [Candidate(*row) for row in rows]


def _heads(connection: Connection, name: str, choice: Choice, *, blocks: bool) -> Sequence[Candidate]:
    """The first keys' heads that can be sent, however many keys stand before them."""
    for ids in _looks(connection, name, choice, blocks=blocks):
        if ids:
            rows = connection.execute(_attempts_of(connection.dialect.name), {"ids": ids})
            return [Candidate(*row) for row in rows]
    return ()


def _looks(connection: Connection, name: str, choice: Choice, *, blocks: bool) -> Iterator[Sequence[str]]:
    after = ""
    while True:
        found = find_heads(connection, name, choice, after=after, limit=_CANDIDATES, blocks=blocks, heeds_pause=False)
        yield found.ids
        if not found.reached or choice is Choice.SUSPECT:
            return
        after = found.reached


def _attempts_since(connection: Connection, since: datetime | None, candidates: Sequence[Candidate]) -> dict[str, int]:
    """How many attempts each of them has had in this outage, where there were any."""
    if since is None:
        return {}
    values = {"ids": [each.id for each in candidates], "since": since - _MARGIN}
    rows = connection.execute(_tried(connection.dialect.name), values)
    return {str(identity): count for identity, count in rows}


def _give_back(connection: Connection, name: str, token: UUID) -> None:
    mine = (destination.c.name == name, destination.c.probe_token == token)
    connection.execute(update(destination).where(*mine).values(probe_token=null(), probe_until=null()))


@functools.cache
def _take_turn() -> Update:
    columns = destination.c
    is_left = or_(columns.probe_token.is_(None), columns.probe_until <= utc_now())
    is_over = or_(columns.cause.is_(None), columns.paused_until.is_(None), columns.paused_until <= utc_now())
    return (
        update(destination)
        .where(columns.name == bindparam("wanted"), is_left, is_over)
        .values(probe_token=bindparam("token"), probe_until=utc_after(bindparam("turn")))
    )


@functools.cache
def _due(dialect_name: str, choice: Choice) -> Select[Any]:
    columns = message.c
    query = select(text_id(dialect_name), columns.attempts, columns.on_unknown)
    if dialect_name == "mysql":
        # On a short table MariaDB prefers another index and sorts.
        query = query.with_hint(message, BY_PENDING, "mysql")
    conditions = (OF_DESTINATION, IS_PENDING, IS_UNKEYED, IS_DUE, IS_FREE, *choice.conditions)
    return query.where(*conditions).order_by(columns.due_at, columns.id).limit(bindparam("limit"))


@functools.cache
def _attempts_of(dialect_name: str) -> Select[Any]:
    columns = message.c
    return select(text_id(dialect_name), columns.attempts, columns.on_unknown).where(id_among(dialect_name))


@functools.cache
def _tried(dialect_name: str) -> Select[Any]:
    columns = attempt.c
    is_since = columns.started_at >= bindparam("since", type_=columns.started_at.type)
    return (
        select(columns.message_id, func.count())
        .where(id_among(dialect_name, columns.message_id), is_since)
        .group_by(columns.message_id)
    )
