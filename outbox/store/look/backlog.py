"""How long the oldest due message of each destination has been due: cheap, for whoever asks all the time."""

from __future__ import annotations

import functools
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from outbox.schema import message, utc_now
from outbox.store.statements import BY_PENDING, IS_DUE, IS_FREE, IS_PENDING, IS_UNKEYED, OF_DESTINATION
from outbox.store.waiting import strangers


def oldest_due(connection: Connection, known: Collection[str]) -> dict[str, float]:
    """Seconds, by destination; 0 where nothing is due. What a worker holds is not waiting for one.

    `known` are the destinations that are configured; others are told of when messages wait for them.
    """
    names = sorted({*known, *strangers(connection, ())})
    return {name: _seconds(connection, name) for name in names}


def _seconds(connection: Connection, name: str) -> float:
    rows = [connection.execute(query, {"destination": name}).one() for query in _queries()]
    now: datetime = rows[0].now
    oldest = [row.oldest for row in rows if row.oldest is not None]
    return max(0.0, (now - min(oldest)).total_seconds()) if oldest else 0.0


@functools.cache
def _queries() -> list[Select[Any]]:
    waiting = (OF_DESTINATION, IS_PENDING, IS_DUE, IS_FREE)
    columns = message.c
    # In the order of the claim's index; min() would have MariaDB read all that is due. Keyed messages' index has another.
    first = (
        select(columns.due_at)
        .where(*waiting, IS_UNKEYED)
        .order_by(columns.due_at, columns.id)
        .limit(1)
        .with_hint(message, BY_PENDING, "mysql")
    )
    least = select(func.min(columns.due_at)).where(*waiting, ~IS_UNKEYED)
    return [select(utc_now().label("now"), each.scalar_subquery().label("oldest")) for each in (first, least)]
