"""How the outbox stands: counts, the age of what is due, pauses, workers, and the errors of what failed."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self

from sqlalchemy import (
    BindParameter,
    Connection,
    Integer,
    Row,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    text,
    union_all,
)

from outbox.message import State
from outbox.schema import destination, message, utc_now
from outbox.store.gates import Reading, readings
from outbox.store.look.filters import Filters
from outbox.store.look.groups import Group, Grouping, groups
from outbox.store.look.workers import Trouble, Worker, last_seen, living, troubles
from outbox.store.statements import BY_PENDING, IS_DUE, IS_FREE, IS_PENDING, IS_UNKEYED
from outbox.store.waiting import strangers

EXACT_BELOW = 100_000
"""Rows up to which all are counted; beyond, what was delivered is the database's own estimate.

On MariaDB and MySQL also the pending messages up to which each is looked at; beyond, they are counted by an index, which
does not know who is claimed: whoever reads a million rows for that reads their bodies, too.
"""

NEWEST = 10_000
"""Failed messages, the newest ones, whose errors are counted."""

_ERRORS = 5


class Destination(NamedTuple):
    """A destination, and its pause if it is paused now."""

    name: str
    cause: str | None = None
    """A word of `outbox.message.Cause`; None where it is open."""
    paused_until: datetime | None = None
    paused_at: datetime | None = None
    paused_by: str | None = None
    reason: str | None = None
    probing: bool = False
    """The pause's time is over, and a probe decides."""

    @classmethod
    def of(cls, reading: Reading) -> Self:
        """Understand a row."""
        row, cause = reading.row, reading.cause
        if cause is None:
            return cls(row.name)
        return cls(
            row.name, cause.value, row.paused_until, row.paused_at, row.paused_by, row.reason, reading.remaining <= 0
        )


class Unconfigured(NamedTuple):
    """A destination that the settings do not know, though messages for it are due."""

    name: str
    due: int


@dataclass(frozen=True, kw_only=True)
class Counted:
    """How many messages there are. `pending` is the sum of `due`, `claimed` and `scheduled`."""

    pending: int
    due: int
    """To be sent now, and held by no worker; with those where `claimed` is None."""
    claimed: int | None
    """Held by a worker; None where too many are pending to look at each."""
    scheduled: int
    """To be sent later."""
    retrying: int | None
    """Of the pending ones, those that have been tried in vain; None where `claimed` is."""
    delivered: int
    delivered_estimated: bool
    failed: int
    """Without those that an operator has discarded."""
    discarded: int
    oldest_due_seconds: float | None
    """How long the oldest of `due` has been due; None where nothing is."""
    now: datetime
    """The database's clock."""


@dataclass(frozen=True, kw_only=True)
class Standing(Counted):
    """How the outbox stands: the counts, and what explains them."""

    destinations: list[Destination]
    unconfigured: list[Unconfigured]
    troubles: list[Trouble]
    workers: list[Worker]
    """Those that live."""
    last_worker: Worker | None
    """Where none lives, the one that was seen last and did not end as it should."""
    errors: list[Group]
    """The most frequent errors of the `NEWEST` failed messages."""


def standing(connection: Connection, known: Iterable[str]) -> Standing:
    """Count in few statements, each served by an index, none of which locks anything. Each transaction is short.

    `known` are the destinations that are configured: told of even where none of their rows exists.
    """
    with connection.begin():
        counts = counted(connection)
    with connection.begin():
        rest = _rest(connection, [*known])
    errors = groups(connection, _FAILED, Grouping.ERROR, limit=_ERRORS, newest=NEWEST) if counts.failed else []
    return Standing(**vars(counts), **rest, errors=errors)


def counted(connection: Connection) -> Counted:
    """Count in few statements."""
    total = _estimate(connection)
    row = _many(connection)
    exact = row is None and (total is None or total < EXACT_BELOW)
    if row is None:
        row = connection.execute(_counts(exact=exact)).one()
    pending = row.pending_plain + row.pending_keyed
    due = row.due_plain + row.due_keyed
    claimed = _both(row.claimed_plain, row.claimed_keyed)
    return Counted(
        pending=pending,
        due=due,
        claimed=claimed,
        scheduled=pending - due - (claimed or 0),
        retrying=_both(row.retrying_plain, row.retrying_keyed),
        delivered=max(0, (row.total if exact else total or 0) - pending - row.failed - row.discarded),
        delivered_estimated=not exact,
        failed=row.failed,
        discarded=row.discarded,
        oldest_due_seconds=_waited(row),
        now=row.now,
    )


def _many(connection: Connection) -> Row[Any] | None:
    """Count by an index alone; None where that is not needed. Not by the estimate: MySQL's may be a day old."""
    if connection.dialect.name != "mysql":
        return None
    query = _counts(exact=False, by_index=True)
    row = connection.execute(query, {"names": strangers(connection, ())}).one()
    return row if row.pending_plain + row.pending_keyed >= EXACT_BELOW else None


def _both(plain: int | None, keyed: int | None) -> int | None:
    return None if plain is None or keyed is None else plain + keyed


_NAMES: BindParameter[str] = bindparam("names", expanding=True)

_FAILED = Filters(state=State.FAILED, undiscarded=True)


def _rest(connection: Connection, known: list[str]) -> dict[str, Any]:
    workers = living(connection)
    return {
        "destinations": _destinations(connection, known),
        "unconfigured": _unconfigured(connection, known),
        "troubles": troubles(workers),
        "workers": workers,
        "last_worker": None if workers else last_seen(connection),
    }


def _waited(row: Row[Any]) -> float | None:
    oldest = [moment for moment in (row.oldest_plain, row.oldest_keyed) if moment is not None]
    return round((row.now - min(oldest)).total_seconds(), 3) if oldest else None


@functools.cache
def _counts(*, exact: bool, by_index: bool = False) -> Select[Any]:
    """One statement, hence one snapshot: the counts agree with each other."""
    # Apart, because SQLite uses a partial index only for its very predicate.
    plain, keyed, failed = _pending(keyed=False, by_index=by_index), _pending(keyed=True, by_index=by_index), _failed()
    query = select(utc_now().label("now"), *plain.c, *keyed.c, *failed.c)
    # Each has one row. The conditions hold always; without one that names both sides SQLAlchemy warns of a product.
    less_than_none = -1 - plain.c.pending_plain
    query = query.select_from(
        plain.join(keyed, keyed.c.pending_keyed > less_than_none).join(failed, failed.c.failed > less_than_none)
    )
    total = select(func.count()).select_from(message).scalar_subquery()
    return query.add_columns(total.label("total")) if exact else query


def _pending(*, keyed: bool, by_index: bool) -> Subquery:
    """Count those of a kind. The index of MariaDB and MySQL has both kinds, and all that is asked for but the claims."""
    kind = "keyed" if keyed else "plain"
    is_due = IS_DUE if by_index else and_(IS_DUE, IS_FREE)
    query = select(
        func.count().label(f"pending_{kind}"),
        func.count(case((is_due, 1))).label(f"due_{kind}"),
        (null() if by_index else func.count(case((~IS_FREE, 1)))).label(f"claimed_{kind}"),
        (null() if by_index else func.count(message.c.last_error)).label(f"retrying_{kind}"),
        func.min(case((is_due, message.c.due_at))).label(f"oldest_{kind}"),
    ).where(IS_PENDING, ~IS_UNKEYED if keyed else IS_UNKEYED)
    if by_index:
        query = query.where(message.c.destination.in_(_NAMES)).with_hint(message, BY_PENDING, "mysql")
    return query.subquery()


def _failed() -> Subquery:
    is_discarded = message.c.failure_reason == literal_column("'discarded'")
    return (
        select(
            func.count(case((~is_discarded, 1))).label("failed"), func.count(case((is_discarded, 1))).label("discarded")
        )
        .where(message.c.state == literal_column("'failed'"))
        .subquery()
    )


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
    found = {name: Destination.of(reading) for name, reading in readings(connection).items()}
    return [found.get(name, Destination(name)) for name in sorted({*known, *found})]


def pause_of(connection: Connection, name: str) -> Destination:
    """How one destination stands; one without a row has never been paused."""
    found = readings(connection).get(name)
    return Destination(name) if found is None else Destination.of(found)


def _unconfigured(connection: Connection, known: Collection[str]) -> list[Unconfigured]:
    unknown = strangers(connection, known)
    rows = connection.execute(_due_by_destination(), {"names": unknown}) if unknown else ()
    return [Unconfigured(*each) for each in rows]


@functools.cache
def _due_by_destination() -> Select[Any]:
    """Each of the two counts goes by its partial index; on MariaDB and MySQL by the one that needs no row."""
    columns = message.c
    parts = [
        select(columns.destination.label("name"), func.count().label("due"))
        .where(IS_PENDING, is_of_kind, IS_DUE, columns.destination.in_(_NAMES))
        .group_by(columns.destination)
        .with_hint(message, BY_PENDING, "mysql")
        for is_of_kind in (IS_UNKEYED, ~IS_UNKEYED)
    ]
    both = union_all(*parts).subquery("both_kinds")
    return select(both.c.name, cast(func.sum(both.c.due), Integer)).group_by(both.c.name).order_by(both.c.name)


def is_known(connection: Connection, name: str) -> bool:
    """Whether the database has heard of a destination: it has a row, or messages to send."""
    of_it = (message.c.destination == name, IS_PENDING)
    found = or_(
        exists().where(destination.c.name == name),
        exists().where(*of_it, IS_UNKEYED),
        exists().where(*of_it, ~IS_UNKEYED),
    )
    return bool(connection.execute(select(found)).scalar())
