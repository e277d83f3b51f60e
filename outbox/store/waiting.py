"""What is left to do at a destination: how a draining worker knows that it is done."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select, and_, case, exists, func, or_, select

from outbox.schema import message
from outbox.store.heads import is_blocked, is_head
from outbox.store.statements import (
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


def strangers(connection: Connection, known: Collection[str]) -> list[str]:
    """Give the destinations with pending messages that are not among the known: one step through the index for each."""
    found: set[str] = set()
    for is_of_kind in (
        IS_UNKEYED,
        ~IS_UNKEYED,
    ):  # apart, because SQLite uses a partial index only for its very predicate
        after: str | None = ""
        while after is not None:
            query = select(func.min(message.c.destination)).where(IS_PENDING, is_of_kind)
            after = connection.execute(query.where(message.c.destination > after)).scalar()
            found |= set() if after is None else {after}
    return sorted(found - {*known})


def is_anything_due(connection: Connection, name: str) -> bool:
    """Whether a claim of messages without a key would find anything. Takes no lock."""
    return bool(connection.execute(_look(), {"destination": name}).scalar())


@functools.cache
def _look() -> Select[bool]:
    return select(exists().where(OF_DESTINATION, IS_PENDING, IS_UNKEYED, IS_DUE, IS_FREE, ~is_paused(DESTINATION)))


@functools.cache
def _count(*, blocks: bool) -> CompoundSelect[int, int, bool]:
    # Apart, because SQLite uses a partial index only for its very predicate.
    can_be_claimed = and_(is_head(), ~is_blocked()) if blocks else is_head()
    return _counted(IS_UNKEYED).union_all(_counted(~IS_UNKEYED, or_(~IS_FREE, can_be_claimed)))


def _counted(*conditions: ColumnElement[bool]) -> Select[int, int, bool]:
    return select(
        func.count(case((IS_FREE, 1))).label("due"), func.count().label("total"), is_paused(DESTINATION).label("paused")
    ).where(OF_DESTINATION, IS_PENDING, IS_DUE, *conditions)
