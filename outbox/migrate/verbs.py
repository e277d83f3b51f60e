"""Upgrade, downgrade, stamp; and the same as SQL for those who apply DDL by hand."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from outbox.errors import ConfigurationError, ProgramOutdated
from outbox.migrate.exclusive import exclusive
from outbox.migrate.folder import configuration, scripts
from outbox.migrate.look import standing


@dataclass(frozen=True, slots=True)
class Change:
    """Where the database stood and where it stands; None is "no tables"."""

    before: str | None
    after: str | None


def upgrade(engine: Engine, revision: str = "head") -> Change:
    """Bring the database up to a revision. Does nothing where it is there already.

    Raises `ConfigurationError` for an unknown revision or missing rights, `ProgramOutdated` where the database is
    newer than this program.
    """
    return _run(engine, lambda config: command.upgrade(config, revision))


def downgrade(engine: Engine, revision: str) -> Change:
    """Bring the database down to a revision; to `base` destroys all messages. Raises as `upgrade` does."""
    return _run(engine, lambda config: command.downgrade(config, revision))


def stamp(engine: Engine, revision: str) -> Change:
    """Record a revision without running anything, for tables that were made by hand. Raises as `upgrade` does."""
    return _run(engine, lambda config: command.stamp(config, revision))


def sql(dialect: str, revisions: str, *, down: bool = False) -> str:
    """The statements from one revision to another (`base:head`, `0001:0002`), without a database.

    `dialect` is `postgresql`, `mysql` (MariaDB, too) or `sqlite`.
    """
    written = io.StringIO()
    config = configuration(dialect=dialect)
    config.output_buffer = written
    with _explained(None):
        (command.downgrade if down else command.upgrade)(config, revisions, sql=True)
    return written.getvalue()


def _run(engine: Engine, work: Callable[[Config], None]) -> Change:
    with exclusive(engine) as connection, _explained(connection):
        before = _version(connection)
        work(configuration(connection=connection))
        return Change(before, _version(connection))


def _version(connection: Connection) -> str | None:
    found = standing(connection)
    if connection.dialect.name in {"mysql", "mariadb"}:
        connection.commit()  # else alembic would take our look for a transaction of the caller's, and not commit steps
    return found[0] if found else None


@contextmanager
def _explained(connection: Connection | None) -> Iterator[None]:
    """Say in our words what alembic and the database object to."""
    try:
        yield
    except CommandError as error:
        unknown = [] if connection is None else [each for each in standing(connection) if not _known(each)]
        if unknown:
            msg = f"The outbox's schema is at version {unknown[0]}, which this program does not know"
            raise ProgramOutdated(msg, hint="Upgrade this program: pip install --upgrade overcentric-outbox") from error
        raise ConfigurationError(str(error).rstrip("."), hint="`outbox db history` lists the revisions.") from error
    except DBAPIError as error:
        if not _forbidden(error):
            raise
        msg = f"The database does not let us make tables: {str(error.orig).splitlines()[0]}"
        hint = "Use a role that may, or give the statements of `outbox db upgrade --sql` to someone who may."
        raise ConfigurationError(msg, hint=hint) from error


def _known(revision: str) -> bool:
    try:
        return scripts().get_revision(revision) is not None
    except CommandError:
        return False


def _forbidden(error: DBAPIError) -> bool:
    """Whether rights are missing: insufficient privilege, read-only, no schema to create in."""
    if getattr(error.orig, "sqlstate", None) in {"42501", "25006", "3F000"}:
        return True
    code = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return code in {1142, 1044, 1227, 1290} or "readonly database" in str(error.orig)
