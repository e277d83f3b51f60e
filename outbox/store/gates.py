"""Gates: whether messages may be sent to a destination now, for all workers alike."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from sqlalchemy import BindParameter, Connection, Row, Select, bindparam, select, update

from outbox.message import Cause
from outbox.schema import FOREVER, destination, utc_now


@dataclass(frozen=True, slots=True)
class Gate:
    """How a destination stands, by the database's clock, when it was looked at."""

    name: str
    cause: Cause | None = None
    """Why it is paused; None where it is open."""
    reason: str | None = None
    """For people."""
    by: str | None = None
    """Who paused it: a worker or an operator."""
    remaining: float = 0.0
    """Seconds until the pause's time is over. 0.0: it is over, and a probe decides. Infinite: until it is resumed."""
    opened: float = math.inf
    """Seconds since it opened last, or for which the last pause's time has been over; infinite: it never was paused."""


def gates(connection: Connection, names: Iterable[str]) -> dict[str, Gate]:
    """How destinations stand. One without a row has never been paused."""
    wanted = [*names]
    rows = connection.execute(_look(), {"names": wanted})
    found = {row.name: Reading.of(row).gate() for row in rows}
    return {name: found.get(name, Gate(name)) for name in wanted}


def readings(connection: Connection) -> dict[str, Reading]:
    """Every row that there is."""
    return {row.name: Reading.of(row) for row in connection.execute(select(destination, utc_now().label("now")))}


class Reading(NamedTuple):
    """A destination's row, and what it means now."""

    row: Row[Any]
    cause: Cause | None
    """The cause of the pause that is in force."""
    remaining: float
    opened: float

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """Understand a row that was selected together with the database's clock."""
        until = row.paused_until
        passed = math.inf if until is None else (row.now - until).total_seconds()
        cause = None if row.cause is None else Cause(row.cause)
        if until is not None and until >= FOREVER:
            passed = -math.inf
        if cause is Cause.OPERATOR and passed >= 0:
            cause = None
        remaining = 0.0 if cause is None or until is None else max(0.0, -passed)
        return cls(row, cause, remaining, max(0.0, passed))

    @property
    def is_automatic(self) -> bool:
        """Whether a pause is in force that a probe ends."""
        return self.cause not in {None, Cause.OPERATOR}

    def gate(self) -> Gate:
        """What the workers are told."""
        if self.cause is None:
            return Gate(self.row.name, opened=self.opened)
        return Gate(self.row.name, self.cause, self.row.reason, self.row.paused_by, self.remaining, self.opened)


def look(connection: Connection, name: str) -> Reading | None:
    """How a destination stands, without a lock; None where it has no row."""
    row = connection.execute(_look(), {"names": [name]}).one_or_none()
    return None if row is None else Reading.of(row)


def lock(connection: Connection, name: str) -> Reading:
    """Lock a destination's row, which is made where it is missing, and say how it stands."""
    if connection.execute(_lock(), {"name": name}).one_or_none() is None:
        connection.execute(_make(connection.dialect.name), {"name": name})
        connection.execute(_lock(), {"name": name})
    # Looked at by a statement of its own: the clock of the one that waited for the lock stood still meanwhile.
    return Reading.of(connection.execute(_look(), {"names": [name]}).one())


def write(connection: Connection, name: str, **values: Any) -> None:
    """Change a row that is locked."""
    connection.execute(update(destination).where(destination.c.name == name).values(values))


def written(connection: Connection, name: str, **values: Any) -> Reading:
    """Change a row that is locked, and say how the destination stands then."""
    write(connection, name, **values)
    return Reading.of(connection.execute(_look(), {"names": [name]}).one())


@functools.cache
def _look() -> Select[Any]:
    names: BindParameter[str] = bindparam("names", expanding=True)
    return select(destination, utc_now().label("now")).where(destination.c.name.in_(names))


@functools.cache
def _lock() -> Select[Any]:
    return select(destination.c.name).where(destination.c.name == bindparam("name")).with_for_update()


@functools.cache
def _make(dialect_name: str) -> Any:
    """The INSERT that does nothing where another transaction was quicker. Each dialect is loaded where it is used."""
    if dialect_name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(destination).on_conflict_do_nothing()
    if dialect_name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(destination).on_conflict_do_nothing()
    from sqlalchemy.dialects import mysql

    # Not INSERT IGNORE, which would turn every other error into a warning.
    return mysql.insert(destination).on_duplicate_key_update(name=destination.c.name)
