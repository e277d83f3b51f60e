"""Look at versions without changing anything."""

from __future__ import annotations

from dataclasses import dataclass

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, func, inspect, select

from outbox.migrate.folder import scripts
from outbox.schema import VERSION_TABLE, message


@dataclass(frozen=True, slots=True)
class Revision:
    """One migration."""

    revision: str
    before: str | None
    """The revision that it builds on."""
    summary: str


def current(engine: Engine) -> list[str]:
    """Revisions at which the database stands: one, or none before the first upgrade."""
    with engine.connect() as connection:
        return standing(connection)


def standing(connection: Connection) -> list[str]:
    """Revisions at which the database stands, on a connection that is there."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return sorted(context.get_current_heads())


def heads() -> list[str]:
    """Newest revisions that this program knows: one."""
    return sorted(scripts().get_heads())


def history() -> list[Revision]:
    """Every migration, oldest first."""
    found = [
        Revision(
            script.revision, None if script.down_revision is None else str(script.down_revision), _summary(script.doc)
        )
        for script in scripts().walk_revisions()
    ]
    return found[::-1]


def messages(engine: Engine) -> dict[str, int]:
    """How many messages there are, by state: what a downgrade to `base` destroys."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(message.name):
            return {}
        rows = connection.execute(select(message.c.state, func.count()).group_by(message.c.state))
        return {state: count for state, count in rows}  # noqa: C416 - dict() takes no Row


def _summary(doc: str | None) -> str:
    return (doc or "").splitlines()[0].rstrip(".") if doc else ""
