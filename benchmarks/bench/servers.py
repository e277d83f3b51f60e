"""Private databases for benchmarks: durable, as an application's are, and large enough to work in memory."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager, ExitStack, closing
from functools import cached_property
from pathlib import Path

from sqlalchemy import make_url

from support import databases
from support.databases import Database
from support.servers import MariaServer, PostgresServer

# Beyond these both have their own defaults: fsync, synchronous_commit and full_page_writes on, innodb_flush_log_at_trx_commit=1.
_POSTGRES = ("shared_buffers=256MB", "max_wal_size=4GB")
_MARIA = ("innodb-buffer-pool-size=512M", "innodb-log-file-size=512M")


class Servers:
    """Starts a server when it is first wanted, and gives databases in it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    @cached_property
    def postgres(self) -> PostgresServer:
        """The private PostgreSQL."""
        return self._stack.enter_context(PostgresServer(durable=True, options=_POSTGRES))

    @cached_property
    def maria(self) -> MariaServer:
        """The private MariaDB."""
        return self._stack.enter_context(MariaServer(durable=True, options=_MARIA))

    def fresh(self, kind: str) -> AbstractContextManager[Database]:
        """Give a fresh database with our tables."""
        if kind == "postgresql":
            return databases.postgres_database(self.postgres, self._postgres_template)
        if kind == "mariadb":
            return databases.maria_database(self.maria, self._maria_template)
        return databases.sqlite_database(self._folder, self._sqlite_template)

    def empty(self) -> AbstractContextManager[Database]:
        """Give a PostgreSQL database without any tables, for peers."""
        return databases.postgres_database(self.postgres)

    @cached_property
    def _postgres_template(self) -> str:
        return databases.postgres_template(self.postgres)

    @cached_property
    def _maria_template(self) -> list[str]:
        return databases.maria_template(self.maria)

    @cached_property
    def _sqlite_template(self) -> Path:
        """In WAL mode, as an application's file with a worker beside it is."""
        path = databases.sqlite_template(self._folder)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        return path

    def versions(self) -> dict[str, str]:
        """The versions of the servers that run."""
        found = {}
        if "postgres" in self.__dict__:
            found["PostgreSQL"] = str(self.postgres.execute("SHOW server_version")[0][0]).split()[0]
        if "maria" in self.__dict__:
            found["MariaDB"] = str(self.maria.execute("SELECT version()")[0][0]).split("-")[0]
        return found


def settle_down(database: Database) -> None:
    """Let PostgreSQL do before a run what it would do in the midst of it because of the rows just inserted."""
    if isinstance(database.server, PostgresServer):
        database.server.execute("VACUUM ANALYZE", "CHECKPOINT", database=make_url(database.url).database)


def plain_url(database: Database) -> str:
    """The URL as programs write it that are not SQLAlchemy's."""
    return database.url.replace("+psycopg", "", 1)
