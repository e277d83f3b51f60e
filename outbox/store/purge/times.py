"""Ids by the time at which they were made: what was settled long ago was made before that, so a walk can end there."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, bindparam, select

from outbox.schema import utc_after

END = str(UUID(int=(1 << 128) - 1))
"""Behind every id."""

_moment = select(utc_after(bindparam("seconds")))


def id_of(connection: Connection, age: float) -> str:
    """The first id that could be made so many seconds ago, by the database's clock.

    A process whose clock was ahead made ids beyond it: they are found as much later.
    """
    made = connection.execute(_moment, {"seconds": -age}).scalar_one().timestamp()
    return str(UUID(int=max(0, int(made * 1000)) << 80))
