"""How alembic is set up for our tables: its `env.py` calls this."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from alembic import context
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from outbox.migrate.folder import scripts
from outbox.schema import VERSION_TABLE, metadata


def run_online(connection: Connection) -> None:
    """Run what alembic was asked to, on a connection that `exclusive` gave."""
    context.configure(connection=connection, **_options())
    with context.begin_transaction():
        context.run_migrations()


def run_offline(dialect: str) -> None:
    """Write the statements instead of running them."""
    transactional = dialect in {"postgresql", "sqlite"}
    context.configure(dialect_name=dialect, literal_binds=True, transactional_ddl=transactional, **_options())
    with context.begin_transaction():
        context.run_migrations()


def _options() -> dict[str, Any]:
    return {
        "target_metadata": metadata,
        "version_table": VERSION_TABLE,
        "include_name": _is_ours,
        "compare_server_default": True,
        "process_revision_directives": _number,
    }


def _is_ours(name: str | None, type_: str, _parents: Any) -> bool:
    """Leave an application's tables in the same database out of the comparison."""
    return type_ != "table" or name in metadata.tables


def _number(_context: MigrationContext, _revision: Any, directives: Iterable[MigrationScript]) -> None:
    """Name a new revision by the next number: numbers, unlike alembic's random names, tell older from newer."""
    for directive in directives:
        directive.rev_id = f"{int(scripts().get_current_head() or 0) + 1:04}"
