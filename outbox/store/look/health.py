"""What a monitoring system asks for, in as few statements as may be."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select

from outbox.message import State
from outbox.schema import message, utc_after, utc_now
from outbox.store.gates import readings
from outbox.store.look.filters import Filters
from outbox.store.look.workers import count_living
from outbox.store.statements import IS_DUE, IS_FREE, IS_PENDING, IS_UNKEYED


class Health(NamedTuple):
    """How the outbox is."""

    oldest_due: float | None
    """Seconds for which the oldest message that nobody holds has been due; None where nothing is."""
    failed: int
    """Without those that an operator has discarded."""
    workers: int
    """Those that live."""
    paused: list[str]
    """Destinations."""


def health(connection: Connection, *, failed_since: float | None = None) -> Health:
    """Look, and lock nothing. `failed_since` leaves out what failed longer ago, in seconds."""
    with connection.begin():
        return Health(
            _oldest_due(connection),
            _failed(connection, failed_since),
            count_living(connection),
            sorted(name for name, reading in readings(connection).items() if reading.cause is not None),
        )


def _oldest_due(connection: Connection) -> float | None:
    # Apart, because SQLite uses a partial index only for its very predicate.
    kinds = (_first_due(IS_UNKEYED), _first_due(~IS_UNKEYED))
    now, *found = connection.execute(select(utc_now(), *kinds)).one()
    moments: list[datetime] = [each for each in found if each is not None]
    return max(0.0, (now - min(moments)).total_seconds()) if moments else None


def _first_due(is_of_kind: ColumnElement[bool]) -> Any:
    return select(func.min(message.c.due_at)).where(IS_PENDING, is_of_kind, IS_DUE, IS_FREE).scalar_subquery()


def _failed(connection: Connection, since: float | None) -> int:
    conditions = Filters(state=State.FAILED, undiscarded=True).conditions(connection.dialect.name)
    if since is not None:
        conditions.append(message.c.settled_at >= utc_after(-since))
    return connection.execute(select(func.count()).select_from(message).where(*conditions)).scalar_one()
