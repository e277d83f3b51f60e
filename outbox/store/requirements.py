"""What a database server must be able to do, and how new it must be for that."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError

from outbox.errors import ConfigurationError, SchemaOutdated

Version = tuple[int, ...]

_NEEDED: dict[str, tuple[Version, str]] = {
    "PostgreSQL": ((12,), "the oldest that the outbox is written for"),
    "MariaDB": ((10, 6), "the first with SKIP LOCKED, without which workers wait for each other"),
    "MySQL": ((8, 0, 1), "the first with SKIP LOCKED, without which workers wait for each other"),
    "SQLite": ((3, 35), "the first with RETURNING"),
}


def check_server(connection: Connection) -> None:
    """Raise `ConfigurationError` where the server cannot carry an outbox."""
    name, found = server_version(connection)
    check_version(name, found)
    if name == "SQLite" and not _has_json(connection):
        msg = "This SQLite was built without its JSON functions, which the outbox hands lists of ids over with"
        raise ConfigurationError(msg, hint="Upgrade SQLite: from 3.38 on they are always there.")
    if name in {"MariaDB", "MySQL"} and not _has_innodb(connection):
        msg = f"This {name} server has no InnoDB: its tables know no transactions"
        raise ConfigurationError(msg, hint="Enable InnoDB on the server.")


def check_version(name: str, found: Version) -> None:
    """Raise `ConfigurationError` for a version without what the outbox needs."""
    needed, reason = _NEEDED[name]
    if found < needed:
        msg = f"The database is {name} {_dotted(found)}; the outbox needs {_dotted(needed)}, {reason}"
        raise ConfigurationError(msg, hint=f"Upgrade {name}.")


def server_version(connection: Connection) -> tuple[str, Version]:
    """The server's name and version, such as `("MariaDB", (10, 11, 6))`."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        # A number such as 150004; the text beside it differs by packager.
        number = int(connection.scalar(text("SELECT current_setting('server_version_num')")) or 0)
        return "PostgreSQL", (number // 10_000, number % 10_000)
    if dialect == "sqlite":
        return "SQLite", _numbers(str(connection.scalar(text("SELECT sqlite_version()"))))
    return mysql_version(str(connection.scalar(text("SELECT VERSION()"))))


def mysql_version(shown: str) -> tuple[str, Version]:
    """Tell MariaDB from MySQL by what `VERSION()` says.

    MariaDB may put `5.5.5-` before its own version, for the sake of old replicas.
    """
    if "mariadb" in shown.lower():
        return "MariaDB", _numbers(shown.removeprefix("5.5.5-"))
    return "MySQL", _numbers(shown)


def require_file(url: URL, *, create: bool = False) -> None:
    """Raise where SQLite would open what nobody else sees: an empty file under a mistyped name, or its memory.

    `SchemaOutdated` for a missing file, unless it is to be created; `ConfigurationError` for a database in memory.
    """
    if url.get_backend_name() != "sqlite":
        return
    if url.database in {None, "", ":memory:"}:
        msg = "OUTBOX_DATABASE_URL names a database in memory, which no other process sees and which ends with this one"
        raise ConfigurationError(msg, hint="Name a file: sqlite:////var/lib/app/app.db")
    path = str(url.database)
    if not create and not path.startswith("file:") and not Path(path).exists():
        msg = f"There is no database file {path}"
        raise SchemaOutdated(msg, hint="Check OUTBOX_DATABASE_URL, or create it with: outbox db upgrade")


def _has_innodb(connection: Connection) -> bool:
    support = connection.scalar(text("SELECT support FROM information_schema.engines WHERE engine = 'InnoDB'"))
    return support in {"YES", "DEFAULT"}


def _has_json(connection: Connection) -> bool:
    try:
        connection.execute(text("SELECT value FROM json_each('[]')")).all()
    except DBAPIError:
        return False
    return True


def _numbers(shown: str) -> Version:
    found = re.match(r"\d+(?:\.\d+)*", shown, re.ASCII)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
