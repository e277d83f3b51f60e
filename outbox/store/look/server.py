"""What the database's own settings promise of a commit, and whether a worker listens to it."""

from __future__ import annotations

from sqlalchemy import Connection, text

from outbox.schema import CHANNEL

_SYNCHRONOUS = ("off", "normal", "full", "extra")
"""SQLite's words for the numbers that it answers."""

_POSTGRESQL = text(
    "SELECT name, lower(setting) FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')"
)
_MYSQL = text(
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN"
    " ('innodb_flush_log_at_trx_commit', 'innodb_doublewrite', 'log_bin', 'sync_binlog')"
)

# The last statement of a session that listens is its LISTEN. Of another role's sessions one may not see that.
_LISTENERS = text(
    "SELECT query = :listen AS listens, query = '<insufficient privilege>' AS hidden FROM pg_stat_activity"
    " WHERE datname = current_database() AND (query = :listen OR query = '<insufficient privilege>')"
)


def server_settings(connection: Connection) -> dict[str, str]:
    """The settings that say whether a commit outlives a power cut, in the database's own words, in lower case.

    On SQLite `synchronous` is this connection's; the application's have their own.
    """
    dialect = connection.dialect.name
    if dialect == "sqlite":
        number = int(connection.exec_driver_sql("PRAGMA synchronous").scalar() or 0)
        journal = str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())
        return {"journal_mode": journal.lower(), "synchronous": _SYNCHRONOUS[number]}
    found = connection.execute(_POSTGRESQL if dialect == "postgresql" else _MYSQL)
    return {str(name): str(value).lower() for name, value in found}


def is_listened_to(connection: Connection) -> bool | None:
    """Whether a session listens for what `enqueue` sends on PostgreSQL; None where this role may not see."""
    found = connection.execute(_LISTENERS, {"listen": f"LISTEN {CHANNEL}"}).all()
    if any(row.listens for row in found):
        return True
    return None if any(row.hidden for row in found) else False
