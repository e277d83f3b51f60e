"""Whether there is work, for a worker that has none: one statement for all of its destinations, which locks nothing."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Boolean,
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    bindparam,
    cast,
    literal_column,
    select,
    union_all,
)

from outbox.schema import message
from outbox.store.position import Position, is_behind
from outbox.store.statements import IS_DUE, IS_FREE, IS_PENDING, IS_UNKEYED, is_paused


class Place(NamedTuple):
    """Where to look for work at a destination."""

    name: str
    after: Position | None
    """Where to begin among messages without a key; None: at the start."""
    keys: bool
    """Whether to look at messages with a key, too."""


class Work(NamedTuple):
    """What there is at a destination."""

    unkeyed: bool
    """A claim of messages without a key, from that place on, would find something."""
    keyed: bool
    """Messages with a key are pending. Whether one can be claimed only a look at the keys tells."""


def find_work(connection: Connection, places: Sequence[Place]) -> dict[str, Work]:
    """Say of each place's destination what there is. A paused one has no work."""
    values: dict[str, Any] = {}
    for number, place in enumerate(places):
        values[f"name{number}"] = place.name
        if place.after is not None:
            values |= {f"due{number}": place.after.due_at, f"id{number}": place.after.id}
    shapes = tuple((place.after is None, place.keys) for place in places)
    rows = connection.execute(_looks(connection.dialect.name, shapes), values)
    return {places[row.number].name: Work(bool(row.unkeyed), bool(row.keyed)) for row in rows}


@functools.lru_cache(256)
def _looks(dialect_name: str, shapes: tuple[tuple[bool, bool], ...]) -> Select[Any] | CompoundSelect[Any]:
    looks = [_look(dialect_name, number, *shape) for number, shape in enumerate(shapes)]
    return looks[0] if len(looks) == 1 else union_all(*looks)


def _look(dialect_name: str, number: int, from_start: bool, keys: bool) -> Select[Any]:  # noqa: FBT001 - a shape
    name: ColumnElement[str] = bindparam(f"name{number}", type_=message.c.destination.type)
    columns = message.c
    pending = (columns.destination == name, IS_PENDING, ~is_paused(name))
    due = [*pending, IS_UNKEYED, IS_DUE, IS_FREE]
    if not from_start:
        due.append(is_behind(dialect_name, f"due{number}", f"id{number}"))
    # Not whether one is due: where all wait for their next attempts that would be a look at each of them.
    keyed = _is_any("keyed", (*pending, ~IS_UNKEYED), (columns.ordering_key,)) if keys else literal_column("NULL")
    found: list[Any] = [
        literal_column(str(number)).label("number"),
        _is_any("pending", due, (columns.due_at, columns.id)).label("unkeyed"),
        (cast(keyed, Boolean) if dialect_name == "postgresql" else keyed).label("keyed"),
    ]
    return select(*found)


def _is_any(
    index: str, conditions: Sequence[ColumnElement[bool]], order: Sequence[ColumnElement[Any]]
) -> ColumnElement[bool]:
    """Whether there is a row. Not by EXISTS, of which PostgreSQL forgets the order: it would read the table instead."""
    first: Select[Any] = (
        select(literal_column("1"))
        .select_from(message)
        .where(*conditions)
        .order_by(*order)
        .limit(literal_column("1"))
        .with_hint(message, f"FORCE INDEX (outbox_message_{index})", "mysql")
    )
    return first.scalar_subquery().is_not(None)
