"""What is left to do at a destination: how a draining worker knows that it is done."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select, and_, case, exists, func, or_, select

from outbox.schema import message
from outbox.store.heads import is_blocked, is_head
from outbox.store.statements import (
    BY_PENDING,
    DESTINATION,
    IS_DUE,
    IS_FREE,
    IS_PENDING,
    IS_UNKEYED,
    OF_DESTINATION,
    is_paused,
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is due at a destination, claimed or not."""

    due: int
    """Messages that could be claimed now, were the destination not paused."""
    leased: int
    """Messages that a worker holds."""
    paused: bool


def waiting(connection: Connection, name: str, *, blocks: bool) -> Waiting:
    """Count what is due. Messages that wait for a later attempt do not count, nor those of their keys behind them."""
    rows = connection.execute(_count(blocks=blocks), {"destination": name}).all()
    due, total = sum(row.due for row in rows), sum(row.total for row in rows)
    return Waiting(due, total - due, bool(rows[0].paused))


def due(connection: Connection, name: str) -> int:
    """Count what is due, claimed or not: to show how far a drain has come."""
    return sum(connection.execute(query, {"destination": name}).scalar_one() for query in _count_due())


def strangers(connection: Connection, known: Collection[str]) -> list[str]:
    """Give the destinations with pending messages that are not among the known: one step through the index for each."""
    if connection.dialect.name == "mysql":
        # Its index has every state: asked for the next destination with something pending it reads all that is delivered.
        found = {name for name in _destinations(connection) if _has_pending(connection, name)}
    else:
        # Apart, because SQLite uses a partial index only for its very predicate.
        found = {
            *_destinations(connection, IS_PENDING, IS_UNKEYED),
            *_destinations(connection, IS_PENDING, ~IS_UNKEYED),
        }
    return sorted(found - {*known})


def _destinations(connection: Connection, *conditions: ColumnElement[bool]) -> Iterator[str]:
    # Not by min(): without statistics PostgreSQL reads every entry for that.
    query = select(message.c.destination).where(*conditions).order_by(message.c.destination).limit(1)
    name: str | None = ""
    while (name := connection.execute(query.where(message.c.destination > name)).scalar()) is not None:
        yield name


def _has_pending(connection: Connection, name: str) -> bool:
    query = select(message.c.id).where(OF_DESTINATION, IS_PENDING).limit(1).with_hint(message, BY_PENDING, "mysql")
    return bool(connection.execute(query, {"destination": name}).scalar())


def is_anything_due(connection: Connection, name: str) -> bool:
    """Whether a claim of messages without a key would find anything. Takes no lock."""
    return bool(connection.execute(_look(), {"destination": name}).scalar())


@functools.cache
def _look() -> Select[bool]:
    return select(exists().where(OF_DESTINATION, IS_PENDING, IS_UNKEYED, IS_DUE, IS_FREE, ~is_paused(DESTINATION)))


@functools.cache
def _count_due() -> list[Select[int]]:
    # Not whether it is claimed: MariaDB's index does not know that, and no row has to be read for the rest.
    return [
        select(func.count())
        .select_from(message)
        .where(OF_DESTINATION, IS_PENDING, of_kind, IS_DUE)
        .with_hint(message, BY_PENDING, "mysql")
        for of_kind in (IS_UNKEYED, ~IS_UNKEYED)
    ]


@functools.cache
def _count(*, blocks: bool) -> CompoundSelect[int, int, bool]:
    # Apart, because SQLite uses a partial index only for its very predicate.
    can_be_claimed = and_(is_head(), ~is_blocked()) if blocks else is_head()
    return _counted(IS_UNKEYED).union_all(_counted(~IS_UNKEYED, or_(~IS_FREE, can_be_claimed)))


def _counted(*conditions: ColumnElement[bool]) -> Select[int, int, bool]:
    return select(
        func.count(case((IS_FREE, 1))).label("due"), func.count().label("total"), is_paused(DESTINATION).label("paused")
    ).where(OF_DESTINATION, IS_PENDING, IS_DUE, *conditions)
