"""Whether the database's schema is the one that this program is written for."""

from __future__ import annotations

from sqlalchemy import Connection, column, inspect, select, table

from outbox.errors import ProgramOutdated, SchemaOutdated
from outbox.schema import VERSION_TABLE
from outbox.schema.version import HEAD

_VERSIONS = table(VERSION_TABLE, column("version_num"))


def schema_version(connection: Connection) -> str | None:
    """The revision that the database stands at; None where the outbox's tables were never made."""
    # Asked of the catalogue first: a SELECT on a missing table would end the caller's transaction on PostgreSQL.
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalars(select(_VERSIONS.c.version_num).order_by(_VERSIONS.c.version_num.desc())).first()


def check_schema(connection: Connection) -> None:
    """Raise `SchemaOutdated`, or `ProgramOutdated`, unless the database stands at this program's version."""
    found = schema_version(connection)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        msg = f"The outbox's schema is at version {found}, this program knows versions up to {HEAD}"
        raise ProgramOutdated(msg, hint="Upgrade this program: pip install --upgrade overcentric-outbox")
    there = "missing" if found is None else f"at version {found}"
    msg = f"The outbox's schema is {there}, this program needs version {HEAD}"
    raise SchemaOutdated(msg, hint="Run: outbox db upgrade")
