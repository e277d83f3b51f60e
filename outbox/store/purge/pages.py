"""One page of whatever is kept: find what is old, take it away."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from outbox.store.purge import keys, messages
from outbox.store.purge.kept import Kept, Page, PrimaryKey, Span
from outbox.store.purge.times import END

PAGE = 1000
"""Rows that a command looks at in one statement, and takes away in one transaction."""


def start_of(what: Kept) -> PrimaryKey:
    """Where a walk begins: before all rows."""
    return ("", "") if what is Kept.KEYS else (str(UUID(int=0)),)


def find(
    connection: Connection, what: Kept, age: float, after: PrimaryKey, *, until: str = END, size: int = PAGE
) -> Page:
    """Look at the next `size` rows behind a primary key for what is more than `age` seconds old; one SELECT, no lock."""
    if what is Kept.KEYS:
        return keys.find(connection, age, after, size)
    return messages.find(connection, what, age, Span(after, until), size)


def remove(connection: Connection, what: Kept, age: float, old: Sequence[PrimaryKey]) -> int:
    """Take away those of the rows that are still so old and that nobody else has locked; give their number."""
    if what is Kept.KEYS:
        return keys.remove(connection, age, old)
    return messages.remove(connection, what, age, old)
