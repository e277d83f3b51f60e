"""A database's schema as the database itself describes it."""

from __future__ import annotations

import re

from sqlalchemy import Connection, text

_COLUMNS = """
SELECT table_name, ordinal_position, column_name, data_type, character_maximum_length, datetime_precision,
       is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'public'
"""
_INDEXES = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'"
_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""


def tables(connection: Connection) -> dict[str, list[str]]:
    """Each table and what the database says of it: columns, types, defaults, keys, indexes, checks, collation."""
    found: dict[str, list[str]] = {}
    for table, *facts in _DESCRIBE[connection.dialect.name](connection):
        found.setdefault(str(table), []).append(" | ".join(map(str, facts)))
    return {table: sorted(facts) for table, facts in sorted(found.items())}


def _postgresql(connection: Connection) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for query in (_COLUMNS, _INDEXES, _CONSTRAINTS):
        rows += [tuple(row) for row in connection.execute(text(query))]
    return rows


def _mysql(connection: Connection) -> list[tuple[object, ...]]:
    names = connection.execute(text("SHOW TABLES")).scalars().all()
    created = [(name, connection.execute(text(f"SHOW CREATE TABLE `{name}`")).one()[1]) for name in names]
    return [(name, _plain(line)) for name, whole in created for line in str(whole).splitlines()]


def _sqlite(connection: Connection) -> list[tuple[object, ...]]:
    """A table's statement is kept as it was written, with later columns put in: it is taken apart."""
    query = text("SELECT type, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    rows: list[tuple[object, ...]] = []
    for kind, table, sql in connection.execute(query).all():
        if kind == "table":
            rows += [(table, *column) for column in connection.execute(text(f"PRAGMA table_info({table})"))]
            rows += [(table, _plain(line)) for line in sql.splitlines() if line.lstrip().startswith("CONSTRAINT")]
        else:
            rows.append((table, _plain(sql)))
    return rows


def _plain(sql: str) -> str:
    """Without what is no property of the schema: spacing, trailing commas, how far a counter has come."""
    return re.sub(r" AUTO_INCREMENT=\d+", "", re.sub(r"\s+", " ", sql)).strip().rstrip(",")


_DESCRIBE = {"postgresql": _postgresql, "mysql": _mysql, "sqlite": _sqlite}
