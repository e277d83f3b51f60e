"""How the outbox stands: counts, the age of what is due, pauses."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, Subquery, and_, case, func, literal_column, select, text
from sqlalchemy.sql.selectable import ScalarSelect

from outbox.schema import destination, message, utc_now
from outbox.store.statements import IS_DUE, IS_FREE, IS_PENDING, IS_UNKEYED

EXACT_BELOW = 100_000
"""Rows up to which all are counted; beyond, what was delivered is the database's own estimate."""


class Destination(NamedTuple):
    """A destination, and its pause if it is paused now."""

    name: str
    paused_until: datetime | None
    reason: str | None


class Standing(NamedTuple):
    """How the outbox stands. `pending` is the sum of `due`, `claimed` and `scheduled`."""

    pending: int
    due: int
    """To be sent now, and held by no worker."""
    claimed: int
    """Held by a worker."""
    scheduled: int
    """To be sent later."""
    delivered: int
    delivered_estimated: bool
    failed: int
    oldest_due_seconds: float | None
    """How long the oldest due message has been due; None where nothing is."""
    destinations: list[Destination]


def standing(connection: Connection, known: Iterable[str]) -> Standing:
    """Count in few statements, each served by an index, none of which locks anything.

    `known` are the destinations to tell of even where none of their rows exists.
    """
    total = _estimate(connection)
    exact = total is None or total < EXACT_BELOW
    row = connection.execute(_counts(exact=exact)).one()
    pending = row.pending_plain + row.pending_keyed
    due = row.due_plain + row.due_keyed
    claimed = row.claimed_plain + row.claimed_keyed
    return Standing(
        pending=pending,
        due=due,
        claimed=claimed,
        scheduled=pending - due - claimed,
        delivered=max(0, (row.total if total is None or exact else total) - pending - row.failed),
        delivered_estimated=not exact,
        failed=row.failed,
        oldest_due_seconds=_waited(row),
        destinations=_destinations(connection, known),
    )


def _waited(row: Row[Any]) -> float | None:
    oldest = [moment for moment in (row.oldest_plain, row.oldest_keyed) if moment is not None]
    return round((row.now - min(oldest)).total_seconds(), 3) if oldest else None


@functools.cache
def _counts(*, exact: bool) -> Select[Any]:
    """One statement, hence one snapshot: the counts agree with each other."""
    # Apart, because SQLite uses a partial index only for its very predicate.
    plain, keyed = _pending(keyed=False), _pending(keyed=True)
    query = select(utc_now().label("now"), *plain.c, *keyed.c, _rows(failed=True).label("failed")).join_from(
        plain, keyed, literal_column("1") == literal_column("1")
    )
    return query.add_columns(_rows(failed=False).label("total")) if exact else query


def _pending(*, keyed: bool) -> Subquery:
    kind = "keyed" if keyed else "plain"
    is_due = and_(IS_DUE, IS_FREE)
    return (
        select(
            func.count().label(f"pending_{kind}"),
            func.count(case((is_due, 1))).label(f"due_{kind}"),
            func.count(case((~IS_FREE, 1))).label(f"claimed_{kind}"),
            func.min(case((is_due, message.c.due_at))).label(f"oldest_{kind}"),
        )
        .where(IS_PENDING, ~IS_UNKEYED if keyed else IS_UNKEYED)
        .subquery()
    )


def _rows(*, failed: bool) -> ScalarSelect[Any]:
    query = select(func.count()).select_from(message)
    return (query.where(message.c.state == literal_column("'failed'")) if failed else query).scalar_subquery()


# PostgreSQL keeps rows and pages as of the last ANALYZE: the density times today's pages, as its planner reckons.
_ESTIMATES = {
    "postgresql": text(
        "SELECT CASE WHEN reltuples >= 0 AND relpages > 0 THEN reltuples / relpages"
        " * (pg_relation_size(oid) / current_setting('block_size')::int) END"
        " FROM pg_class WHERE oid = to_regclass('outbox_message')"
    ),
    "mysql": text(
        "SELECT table_rows FROM information_schema.tables"
        " WHERE table_schema = database() AND table_name = 'outbox_message'"
    ),
}


def _estimate(connection: Connection) -> int | None:
    """About how many messages there are; None where the database does not know. SQLite's count is quick."""
    statement = _ESTIMATES.get(connection.dialect.name)
    found = None if statement is None else connection.execute(statement).scalar()
    return None if found is None else int(found)


def _destinations(connection: Connection, known: Iterable[str]) -> list[Destination]:
    columns = destination.c
    paused = columns.paused_until > utc_now()
    query = select(columns.name, case((paused, columns.paused_until)), case((paused, columns.reason))).order_by(
        columns.name
    )
    found = {row.name: Destination(*row) for row in connection.execute(query)}
    return [found.get(name, Destination(name, None, None)) for name in sorted({*known, *found})]
