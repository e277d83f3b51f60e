"""Ordering keys: the head of a key is its oldest pending message, the only one of the key that may be claimed.

No order is promised between a head and an older message whose transaction commits later: that one is the head then.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    ScalarSelect,
    Select,
    Subquery,
    and_,
    bindparam,
    literal_column,
    select,
    tuple_,
)

from outbox.schema import message
from outbox.store.evidence import Choice
from outbox.store.statements import (
    DESTINATION,
    IS_DUE,
    IS_FREE,
    IS_PENDING,
    IS_UNKEYED,
    OF_DESTINATION,
    id_among,
    is_paused,
    text_id,
)

_BY_KEY = "FORCE INDEX (outbox_message_keyed)"
"""A hint. By its statistics MariaDB may look the state up instead, and read whatever is pending, or failed, for each key."""

_LEAST = 200
_MOST_ENTRIES = 2000


class Heads(NamedTuple):
    """What a look at some keys found."""

    ids: Sequence[str]
    """Heads that can be claimed."""
    reached: str
    """The last key looked at; empty when there are no more."""


def find_heads(
    connection: Connection,
    destination: str,
    choice: Choice,
    *,
    after: str,
    limit: int,
    blocks: bool,
    heeds_pause: bool = True,
) -> Heads:
    """Find up to `limit` heads that can be claimed, among the next keys behind `after`. Locks nothing.

    A head stays the head of its key until it is settled, so that another transaction may claim it. `blocks`: a failed
    message holds up those behind it. Suspects are looked for among all keys at once: they are few, and rare. A probe
    does not heed the pause that it may end.
    """
    values = {"destination": destination, "after": after, "most": max(2 * limit, _LEAST)}
    find = _find_suspect if choice is Choice.SUSPECT else _find
    query = find(connection.dialect.name, choice, blocks=blocks, heeds_pause=heeds_pause)
    rows = connection.execute(query, values).all()
    ids: list[str] = []
    for key, identity, is_claimable in rows:
        if is_claimable:
            ids.append(identity)
            if len(ids) == limit:
                return Heads(ids, key)
    return Heads(ids, rows[-1].key if rows else "")


def find_successors(connection: Connection, settled: Sequence[str], *, blocks: bool) -> list[str]:
    """Find the heads of the keys that these messages have."""
    query = _successors(connection.dialect.name, blocks=blocks)
    return list(dict.fromkeys(connection.execute(query, {"ids": settled}).scalars()))


@functools.cache
def _find(dialect_name: str, choice: Choice, *, blocks: bool, heeds_pause: bool) -> Select[Any]:
    """The keys in their order, with the id of each one's head and whether that can be claimed."""
    is_claimable = and_(*_claimable(choice, blocks=blocks, heeds_pause=heeds_pause))
    heads = _heads_in_window() if dialect_name == "mysql" else _heads_by_steps()
    return (
        select(heads.c.key, text_id(dialect_name), is_claimable)
        .join_from(heads, message, message.c.id == heads.c.id)
        .order_by(heads.c.key)
    )


@functools.cache
def _find_suspect(dialect_name: str, choice: Choice, *, blocks: bool, heeds_pause: bool) -> Select[Any]:
    claimable = _claimable(choice, blocks=blocks, heeds_pause=heeds_pause)
    return (
        select(message.c.ordering_key.label("key"), text_id(dialect_name), literal_column("1"))
        .where(OF_DESTINATION, IS_PENDING, ~IS_UNKEYED, is_head(), *claimable)
        .limit(literal_column("1"))
    )


def _claimable(choice: Choice, *, blocks: bool, heeds_pause: bool) -> Sequence[ColumnElement[bool]]:
    unpaused = [~is_paused(DESTINATION)] if heeds_pause else []
    unblocked = [~is_blocked()] if blocks else []
    return (IS_DUE, IS_FREE, *unpaused, *choice.conditions, *unblocked)


def _heads_by_steps() -> Subquery:
    """One step through the index for each key, however many messages it has."""
    start = _key_behind(bindparam("after"))
    keys = select(start.label("key"), literal_column("1").label("place")).cte("keys", recursive=True)
    step = _key_behind(keys.c.key)
    keys = keys.union_all(
        select(step, keys.c.place + literal_column("1")).where(
            keys.c.key.is_not(None), keys.c.place < bindparam("most")
        )
    )
    return select(keys.c.key, _head_of(DESTINATION, keys.c.key).label("id")).subquery("heads")


def _key_behind(key: ColumnElement[str]) -> ScalarSelect[str | None]:
    """The next key. Not by `min()`: without statistics PostgreSQL reads every entry for that (20,000, measured)."""
    entry = message.alias()
    return (
        select(entry.c.ordering_key)
        .where(*_pending(entry), entry.c.ordering_key > key)
        .order_by(entry.c.ordering_key)
        .limit(literal_column("1"))
        .scalar_subquery()
    )


def _heads_in_window() -> Subquery:
    """The keys of the next entries of the index.

    MariaDB and MySQL read a whole key to come to the next one; a key with many messages fills the window, and the
    next look begins behind it.
    """
    entry = message.alias()
    window = (
        select(entry.c.ordering_key.label("key"))
        .where(*_pending(entry), entry.c.ordering_key > bindparam("after"))
        .order_by(entry.c.ordering_key, entry.c.created_at, entry.c.id)
        .limit(_MOST_ENTRIES)
        .with_hint(entry, _BY_KEY, "mysql")
        .subquery("window")
    )
    keys = select(window.c.key).distinct().order_by(window.c.key).limit(bindparam("most")).subquery("keys")
    return select(keys.c.key, _head_of(DESTINATION, keys.c.key).label("id")).subquery("heads")


@functools.cache
def _successors(dialect_name: str, *, blocks: bool) -> Select[Any]:
    settled = message.alias("settled")
    head = _head_of(settled.c.destination, settled.c.ordering_key)
    query = select(text_id(dialect_name)).join_from(settled, message, message.c.id == head)
    query = query.where(id_among(dialect_name, settled.c.id), ~is_paused(settled.c.destination))
    return query.where(~is_blocked()) if blocks else query


def _head_of(destination: ColumnElement[str], key: ColumnElement[str]) -> ScalarSelect[Any]:
    other = message.alias()
    return (
        select(other.c.id)
        .where(*_pending(other, destination), other.c.ordering_key == key)
        .order_by(other.c.created_at, other.c.id)
        .limit(literal_column("1"))
        .with_hint(other, _BY_KEY, "mysql")
        .scalar_subquery()
    )


def _pending(table: FromClause, destination: ColumnElement[str] = DESTINATION) -> Sequence[ColumnElement[bool]]:
    return (table.c.destination == destination, table.c.state == literal_column("'pending'"))


def is_head() -> ColumnElement[bool]:
    """Whether no older message of its key is pending."""
    older = message.alias("older")
    return ~_is_any(
        older,
        *_pending(older, message.c.destination),
        older.c.ordering_key == message.c.ordering_key,
        tuple_(older.c.created_at, older.c.id) < tuple_(message.c.created_at, message.c.id),
    )


def is_blocked() -> ColumnElement[bool]:
    """Whether an earlier message of the head's key has failed. One that was discarded holds up nobody."""
    failed = message.alias("failed")
    return _is_any(
        failed,
        failed.c.destination == message.c.destination,
        failed.c.ordering_key == message.c.ordering_key,
        failed.c.state == literal_column("'failed'"),
        failed.c.failure_reason != literal_column("'discarded'"),
        failed.c.created_at <= message.c.created_at,
    )


def _is_any(entry: FromClause, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a message of the key is there."""
    found: Select[Any] = select(literal_column("1")).select_from(entry).where(*conditions)
    return found.with_hint(entry, _BY_KEY, "mysql").exists()
