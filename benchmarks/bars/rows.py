"""Many messages by one statement, and statistics about them or none."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from sqlalchemy import text, update

from outbox.schema import message
from support.databases import Database

_NUMBERS = {
    "postgresql": "SELECT generate_series({first}, {last}) AS n",
    "mariadb": "SELECT CAST(seq AS SIGNED) AS n FROM seq_{first}_to_{last}",
    "sqlite": "WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) "
    "SELECT n FROM numbers",
}
_ID = {
    "postgresql": "CAST(lpad(to_hex(n), 32, '0') AS uuid)",
    "mariadb": "UNHEX(LPAD(HEX(n), 32, '0'))",
    "sqlite": "printf('00000000-0000-0000-0000-%012x', n)",
}
_MOMENT = {
    "postgresql": "now() - make_interval(secs => ({last} - n) / 1000.0 + 1)",
    "mariadb": "TIMESTAMPADD(MICROSECOND, (n - {last}) * 1000 - 1000000, UTC_TIMESTAMP(6))",
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', ((n - {last}) / 1000.0 - 1) || ' seconds')",
}
_KEY = {
    "postgresql": "'key ' || (n % {keys})",
    "mariadb": "CONCAT('key ', n % {keys})",
    "sqlite": "'key ' || (n % {keys})",
}
_INSERT = """
INSERT INTO outbox_message
    (id, destination, name, body, state, settled_at, due_at, created_at, occurred_at, ordering_key, on_unknown, attempts, lost)
SELECT {id}, :destination, :name, :body, :state, {settled}, {moment}, {moment}, {moment}, {key}, 'retry', 0, 0
FROM ({numbers}) AS numbers
"""
_ANALYSE = {
    "postgresql": "ANALYZE outbox_message",
    "mariadb": "ANALYZE TABLE outbox_message",
    "sqlite": "ANALYZE outbox_message",
}
_NO_STATISTICS = {
    "postgresql": "ALTER TABLE outbox_message SET (autovacuum_enabled = false)",
    "mariadb": "ALTER TABLE outbox_message STATS_AUTO_RECALC = 0",
}


def fill(
    database: Database,
    count: int,
    *,
    first: int = 1,
    keys: int = 0,
    state: str = "pending",
    name: str = "thing_done",
    body: str = "{}",
    destination: str = "overcentric",
) -> None:
    """Insert messages numbered from `first` on, a millisecond apart, the last due a second ago."""
    last = first + count - 1
    kind = database.kind
    statement = _INSERT.format(
        id=_ID[kind],
        settled=_MOMENT[kind].format(last=last) if state != "pending" else "NULL",
        moment=_MOMENT[kind].format(last=last),
        key=_KEY[kind].format(keys=keys) if keys else "NULL",
        numbers=_NUMBERS[kind].format(first=first, last=last),
    )
    # A colon followed by a letter would be a parameter: SQLite's format has some.
    statement = statement.replace("%H:%M:%f", r"%H\:%M\:%f")
    with database.engine.begin() as connection:
        connection.execute(text(statement), {"destination": destination, "name": name, "body": body, "state": state})


def empty(database: Database) -> None:
    """Remove all messages."""
    with database.engine.begin() as connection:
        verb = "DELETE FROM" if database.kind == "sqlite" else "TRUNCATE TABLE"
        connection.execute(text(f"{verb} outbox_message"))


def set_journal(database: Database, mode: str) -> None:
    """Let SQLite's file have this journal, from now on."""
    with closing(sqlite3.connect(database.engine.url.database or "")) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")


def release(database: Database) -> None:
    """End all claims."""
    held = message.c.claimed_until.is_not(None)
    with database.engine.begin() as connection:
        connection.execute(update(message).where(held).values(claimed_until=None))


def analyse(database: Database) -> None:
    """Let the planner know what is in the table."""
    with database.engine.begin() as connection:
        connection.execute(text(_ANALYSE[database.kind]))


def keep_statistics(database: Database) -> None:
    """Let nothing but `analyse` tell the planner."""
    if database.kind in _NO_STATISTICS:
        with database.engine.begin() as connection:
            connection.execute(text(_NO_STATISTICS[database.kind]))
