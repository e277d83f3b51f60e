"""What both kinds of server share: a home of their own, a life that ends with ours."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from support.servers.ports import free_port
from support.servers.watchdog import Watchdog
from support.waiting import eventually

USER = "outbox"
PASSWORD = "secret"
START_SECONDS = 60.0
_MEMORY = "/dev/shm"  # noqa: S108 - mkdtemp makes it private


class ServerMissing(Exception):
    """The machine has no binaries of that server."""


class Server(ABC):
    """One private server: `with PostgresServer() as server: server.create_database("a")`.

    It listens on 127.0.0.1 only, on one port for all its life, with its data in a temporary directory. Data
    survives `kill` and `stop`; `close` removes it. It dies with this process, however this process dies.

    By default it does not fsync: what tests kill is processes, not machines, and a commit that was
    answered is in the kernel's hands. `durable=True` restores the server's own defaults.
    """

    kind: ClassVar[str]
    dies_by: ClassVar[signal.Signals] = signal.SIGKILL
    """The signal that ends it at once and, where there is a choice, leaves nothing behind in the kernel."""

    def __init__(self, *, durable: bool = False, options: Sequence[str] = ()) -> None:
        self.durable = durable
        self.options = list(options)
        self.port = free_port()
        self._find()
        self.home = _make_home(self.kind, in_memory=not durable)
        self.data = self.home / "data"
        self.log = self.home / "server.log"
        self._watchdog = Watchdog(self.home, self.dies_by)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it, on the same port and data as before, and return when it answers."""
        if self.pid is not None:
            return
        if not self.data.exists():
            self._initialise()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._surroundings()
            )
        self._watchdog.guard(self._process.pid)
        eventually(self._answers, timeout=START_SECONDS)

    def stop(self) -> None:
        """Shut it down in an orderly way; open connections are cut."""
        self._end(signal.SIGINT if self.kind == "postgresql" else signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, to it and to all its children; `start` brings it back on the same port and data."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End it and remove its data."""
        self._end(self.dies_by)
        self._watchdog.dismiss()
        shutil.rmtree(self.home, ignore_errors=True)

    @abstractmethod
    def url(self, database: str) -> str:
        """The database's URL, for our synchronous driver."""

    @abstractmethod
    def execute(self, *statements: str, database: str | None = None) -> list[Any]:
        """Run statements on one connection, outside of any transaction; the rows of the last, if it has any."""

    @abstractmethod
    def create_database(self, name: str) -> str:
        """Create an empty database and return its URL."""

    @abstractmethod
    def drop_database(self, name: str) -> None:
        """Remove a database, even one with open connections."""

    @abstractmethod
    def _find(self) -> None:
        """Find the binaries or raise `ServerMissing`."""

    @abstractmethod
    def _initialise(self) -> None:
        """Make the data directory."""

    @abstractmethod
    def _command(self) -> list[str]:
        """The server's command line."""

    def _children(self) -> list[int]:
        return []

    def _answers(self) -> bool:
        if self.pid is None:
            raise ServerFailed(self.kind, self.log)
        try:
            self.execute("SELECT 1")
        except Exception as error:
            if type(error).__name__ == "OperationalError":
                return False
            raise
        return True

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        family = self._children() if how == signal.SIGKILL else []
        self._process.send_signal(how)
        for child in family:
            _kill(child)
        self._process.wait(timeout=START_SECONDS)
        eventually(lambda: not any(_runs(child) for child in family), timeout=START_SECONDS)
        self._watchdog.guard(None)
        self._process = None

    def _run(self, *command: str | Path) -> None:
        """Run a tool of the server's as its user."""
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._surroundings())
        if done.returncode:
            msg = f"{command[0]} failed: {done.stdout}{done.stderr}"
            raise RuntimeError(msg)

    def _surroundings(self) -> dict[str, Any]:
        """A temporary directory of its own: MariaDB, as it starts, removes another one's files from a shared one."""
        return {"cwd": self.home, "env": os.environ | {"TMPDIR": str(self.home)}, **unprivileged()}


class ServerFailed(RuntimeError):
    """The server ended while it should have started."""

    def __init__(self, kind: str, log: Path) -> None:
        tail = log.read_text(errors="replace")[-3000:]
        super().__init__(f"{kind} did not start:\n{tail}")


def unprivileged() -> dict[str, Any]:
    """Arguments for `subprocess` that shed root: a database server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def reachable(path: Path) -> bool:
    """Whether the unprivileged user may go there."""
    return os.geteuid() != 0 or all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _make_home(kind: str, *, in_memory: bool) -> Path:
    folders = [*([_MEMORY] if in_memory and _has_room(_MEMORY) else []), tempfile.gettempdir(), "/tmp", "/var/tmp"]  # noqa: S108 - mkdtemp makes it private
    parent = next(folder for folder in folders if reachable(Path(folder)))
    home = Path(tempfile.mkdtemp(prefix=f"outbox-{kind}-", dir=parent))
    identity = unprivileged()
    if identity:
        os.chown(home, identity["user"], identity["group"])
    return home


def _has_room(folder: str) -> bool:
    """Whether a memory file system is there, holds more than a container's usual 64 MiB, and runs programs.

    In it MariaDB, which syncs its DDL whatever it is told, starts 8 times and creates tables 20 times as fast on a
    busy disk (measured).
    """
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize > 4 * 1024**3 and not found.f_flag & os.ST_NOEXEC


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _runs(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet reaped (in a container, perhaps never) does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:
        return not Path("/proc/self").exists()
