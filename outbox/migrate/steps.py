"""Steps of a migration that can be taken again.

PostgreSQL and SQLite undo a migration that was cut off. MariaDB and MySQL keep each statement's effect, so there a
second run has to go on where the first one ended: a step whose effect is there already is passed over.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import Column, Constraint, inspect, text

from outbox.errors import ConfigurationError

# utf8mb4_bin: names and keys compare as they are written; the default collation takes "A" for "a".
_MYSQL: dict[str, Any] = {
    f"{name}_{option}": value
    for name in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def on(kind: str) -> bool:
    """Whether the migration runs on `postgresql`, `sqlite` or `mysql` (which is MariaDB, too)."""
    name = op.get_context().dialect.name
    return kind == ("mysql" if name == "mariadb" else name)


def create_table(name: str, *parts: Column[Any] | Constraint) -> None:
    """Create a table. One that is there already must be ours, from a migration that was cut off."""
    if not op.get_context().as_sql and inspect(op.get_bind()).has_table(name):
        _recognise(name, [part.name for part in parts if isinstance(part, Column)])
        return
    op.create_table(name, *parts, **_MYSQL)


def create_index(name: str, table: str, columns: list[str], *, where: str | None = None) -> None:
    """Create an index; a partial one where `where` is given, which MariaDB and MySQL do not know."""
    if on("mysql") and not op.get_context().as_sql:
        present = {each["name"] for each in inspect(op.get_bind()).get_indexes(table)}
        if name in present:
            return
    predicate = None if where is None else text(where)
    op.create_index(name, table, columns, postgresql_where=predicate, sqlite_where=predicate)


def add_column(table: str, column: Column[Any]) -> None:
    """Add a column, unless a migration that was cut off has added it."""
    if op.get_context().as_sql or column.name not in _columns(table):
        op.add_column(table, column)


def drop_column(table: str, name: str) -> None:
    """Remove a column, if it is there."""
    if op.get_context().as_sql or name in _columns(table):
        op.drop_column(table, name)


def drop_table(name: str) -> None:
    """Remove a table, if it is there."""
    op.execute(f"DROP TABLE IF EXISTS {name}")


def _recognise(name: str, expected: list[str]) -> None:
    if on("mysql") and _columns(name) == expected:
        return
    msg = f"There is a table {name} already, and no migration of the outbox's made it"
    hint = "Rename it. If your program made it from the outbox's metadata, run: outbox db stamp head"
    raise ConfigurationError(msg, hint=hint)


def _columns(table: str) -> list[str]:
    return [each["name"] for each in inspect(op.get_bind()).get_columns(table)]
