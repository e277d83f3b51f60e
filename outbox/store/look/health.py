"""What a monitoring system asks for, by short looks at indexes."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from outbox.message import State
from outbox.schema import message, utc_after
from outbox.store.gates import readings
from outbox.store.look.backlog import oldest_due
from outbox.store.look.filters import Filters
from outbox.store.look.workers import count_living


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
            max(oldest_due(connection, ()).values(), default=0.0) or None,
            _failed(connection, failed_since),
            count_living(connection),
            sorted(name for name, reading in readings(connection).items() if reading.cause is not None),
        )


def _failed(connection: Connection, since: float | None) -> int:
    conditions = Filters(state=State.FAILED, undiscarded=True).conditions(connection.dialect.name)
    if since is not None:
        conditions.append(message.c.settled_at >= utc_after(-since))
    return connection.execute(select(func.count()).select_from(message).where(*conditions)).scalar_one()
