"""The messages without a key that are due, in their order, locked by this transaction."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, bindparam, select

from outbox.message import Claim
from outbox.schema import message
from outbox.store.evidence import Choice
from outbox.store.position import Position, is_behind, raw_due
from outbox.store.statements import (
    BY_PENDING,
    DESTINATION,
    IS_DUE,
    IS_FREE,
    IS_HELD,
    IS_PENDING,
    IS_UNKEYED,
    OF_DESTINATION,
    is_paused,
    text_id,
)
from outbox.store.take import NEEDED, lock_among


class Due(NamedTuple):
    """What a scan found."""

    rows: Sequence[Row[Any]]
    """Rows that can be claimed; locked."""
    seen: Sequence[Row[Any]]
    """The ids and places of these, and of those that others have locked where the scan saw them."""


def lock_due(
    connection: Connection, destination: str, choice: Choice, held: Claim, *, after: Position | None, limit: int
) -> Due:
    """Lock up to `limit` rows that are due, from behind a position on."""
    if connection.dialect.name == "mysql":
        return _look_then_lock(connection, destination, choice, held, after, limit)
    rows = _scan(connection, destination, choice, after, limit)
    return Due(rows, rows)


def _look_then_lock(
    connection: Connection, destination: str, choice: Choice, held: Claim, after: Position | None, limit: int
) -> Due:
    """Find rows without a lock, then lock those by their primary key.

    In MariaDB a locking read keeps the lock on every index entry that it passed, whether or not the row fulfils its
    conditions: the rows that other workers hold would stay locked until our COMMIT, and their settles would wait.
    Where another claim was quicker the scan goes on behind what it took.
    """
    rows: list[Row[Any]] = []
    seen: list[Row[Any]] = []
    while (wanted := limit - len(rows)) > 0:
        found = _scan(connection, destination, choice, after, wanted)
        rows += lock_among(connection, [row.id for row in found], held)
        seen += found
        if len(found) < wanted:
            break
        after = Position.of(found[-1])
    return Due(rows, seen)


def _scan(
    connection: Connection, destination: str, choice: Choice, after: Position | None, limit: int
) -> Sequence[Row[Any]]:
    values: dict[str, Any] = {"destination": destination, "limit": limit}
    if after is not None:
        values |= {"after_due": after.due_at, "after_id": after.id}
    return connection.execute(_select(connection.dialect.name, choice, from_start=after is None), values).all()


@functools.cache
def _select(dialect_name: str, choice: Choice, *, from_start: bool) -> Select[Any]:
    columns = message.c
    conditions = [OF_DESTINATION, IS_PENDING, IS_UNKEYED, IS_DUE, IS_FREE, ~is_paused(DESTINATION), *choice.conditions]
    if not from_start:
        conditions.append(is_behind(dialect_name))
    if dialect_name == "mysql":
        query = select(text_id(dialect_name), raw_due(dialect_name))
        # On a short table MariaDB prefers another index and sorts.
        query = query.with_hint(message, BY_PENDING, "mysql")
    else:
        query = select(text_id(dialect_name), *NEEDED, columns.lost, IS_HELD.label("expired"), raw_due(dialect_name))
        query = query.with_for_update(skip_locked=True)
    return query.where(*conditions).order_by(columns.due_at, columns.id).limit(bindparam("limit"))
