"""A private MariaDB, of the system."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pymysql

from support.servers.server import PASSWORD, USER, Server, ServerMissing

# 2: written to the kernel at each commit, so a committed transaction survives the death of the process.
_FAST = ("innodb-flush-log-at-trx-commit=2", "innodb-flush-method=nosync", "innodb-doublewrite=0")
_SETTINGS = (
    "bind-address=127.0.0.1",
    "skip-name-resolve",
    "skip-log-bin",
    "skip-slave-start",
    "innodb-log-file-size=32M",
    "innodb-buffer-pool-size=64M",
    "default-time-zone=+05:30",  # who takes local time for UTC is five and a half hours off, and fails
    "character-set-server=latin1",  # the worst default that is still met: our tables must not inherit it
    "max-connections=200",
)


class MariaServer(Server):
    """MariaDB; `options` are settings such as `read-only=1`."""

    kind = "mariadb"

    def url(self, database: str) -> str:
        """The database's URL, for our synchronous driver."""
        return f"mysql+pymysql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str, database: str | None = None) -> list[Any]:
        """Run statements on one connection, outside of any transaction; the rows of the last, if it has any."""
        # Without `ssl_disabled` PyMySQL loads the machine's certificates for each connection: 19 ms (measured).
        connection = pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=PASSWORD,
            database=database,
            autocommit=True,
            ssl_disabled=True,
        )
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def create_database(self, name: str) -> str:
        """Create an empty database and return its URL."""
        self.execute(f"CREATE DATABASE `{name}`")
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, even one with open connections."""
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def _find(self) -> None:
        self._server = _program("mariadbd")
        self._install = _program("mariadb-install-db")

    def _initialise(self) -> None:
        options = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        self._run(self._install, "--no-defaults", f"--datadir={self.data}", *options, "--innodb-flush-method=nosync")
        grant = f"GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION"
        (self.home / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n{grant};\n"
        )

    def _command(self) -> list[str]:
        settings = [*_SETTINGS, *(() if self.durable else _FAST), *self.options]
        settings += [f"port={self.port}", f"socket={self.home}/socket", f"datadir={self.data}"]
        settings += [f"pid-file={self.home}/pid", f"init-file={self.home}/init.sql"]
        return [self._server, "--no-defaults", *(f"--{each}" for each in settings)]


def _program(name: str) -> str:
    """A program on PATH or where distributions put servers."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/usr/libexec"])
    found = shutil.which(name, path=path)
    if found is None:
        msg = f"{name} is not installed; apt install mariadb-server"
        raise ServerMissing(msg)
    return str(Path(found))
