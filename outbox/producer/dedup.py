"""Keys that make a repeat create nothing: the first transaction to commit a key owns it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, select

from outbox.producer.insert import clock_of, is_mysql
from outbox.schema import dedup

_OWNERS = select(dedup.c.key, dedup.c.message_id).where(
    dedup.c.destination == bindparam("destination"), dedup.c.key.in_(bindparam("keys", expanding=True))
)

# Under REPEATABLE READ a plain SELECT of MariaDB and MySQL looks at the transaction's snapshot, which may be older
# than the row that was just met; a locking read looks at the present.
_OWNERS_NOW = _OWNERS.with_for_update(read=True)

_KEYS_AT_ONCE = 500


@cache
def _claim(dialect: str) -> Any:
    """The INSERT that does nothing where the key is taken; it waits while another transaction may yet take it.

    A database's module is imported when it is first needed: it brings all of its drivers' dialects with it.
    """
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(dedup).on_conflict_do_nothing()
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(dedup).on_conflict_do_nothing()
    from sqlalchemy.dialects import mysql

    # Not INSERT IGNORE, which would turn every other error into a warning.
    return mysql.insert(dedup).on_duplicate_key_update(message_id=dedup.c.message_id)


def claim_keys(connection: Connection, destination: str, wanted: dict[str, UUID]) -> dict[str, UUID]:
    """Claim keys for messages, and return each key's owner: the message wanted, or an earlier one."""
    owners: dict[str, UUID] = {}
    missing = wanted
    while missing:  # again only if a purge removed an old key between the INSERT and the SELECT
        # Sorted: two transactions that claim the same keys meet at the first, instead of each waiting for the other.
        rows = [{"destination": destination, "key": key, "message_id": missing[key]} for key in sorted(missing)]
        for some in _slices(rows):
            if _claimed_one(connection, some):
                owners[some[0]["key"]] = some[0]["message_id"]
            else:
                owners |= _owners(connection, destination, [row["key"] for row in some])
        missing = {key: wanted[key] for key in missing.keys() - owners.keys()}
    return owners


def _claimed_one(connection: Connection, rows: list[dict[str, Any]]) -> bool:
    """Whether it was a single key, and certainly nobody had it before: then there is nothing to read back."""
    statement = _claim(connection.dialect.name)
    if len(rows) > 1:
        if is_mysql(connection):
            now = clock_of(connection)[0]
            rows = [row | {"created_at": now} for row in rows]
        connection.execute(statement, rows)
        return False
    count = connection.execute(statement, rows[0]).rowcount
    # There the count is 1 for an inserted row and, with the client flag FOUND_ROWS, for one that was met.
    return count == 1 and not is_mysql(connection)


def _owners(connection: Connection, destination: str, keys: list[str]) -> dict[str, UUID]:
    statement = _OWNERS_NOW if is_mysql(connection) else _OWNERS
    found = connection.execute(statement, {"destination": destination, "keys": keys})
    return {row.key: row.message_id for row in found}


def _slices(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(rows), _KEYS_AT_ONCE):
        yield rows[start : start + _KEYS_AT_ONCE]
