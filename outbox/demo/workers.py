"""Real workers: `outbox worker` as processes, killed, stopped, and never left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from outbox.errors import OutboxError

LEASE_SECONDS = 2

_SETTINGS = {
    "concurrency": "16",
    "lease": f"{LEASE_SECONDS}s",
    "try-timeout": "1s",
    "drain-timeout": "5s",
    "retry-schedule": "300ms,1s",
    "max-attempts": "18",
    "delivery": "on",
    "log-level": "info",
    "log-format": "console",
}
"""All as flags, which come before whatever OUTBOX_* variables the terminal has. Short times, to be worth watching."""


class WorkerProcess:
    """One `outbox worker`, logging to a file of its own."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.pid = process.pid
        self._process = process
        self._log = log
        self._killed = False

    def kill(self) -> None:
        """Send SIGKILL and wait for its end; nothing of it runs afterwards."""
        self._killed = True
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """Send SIGTERM: it may finish what it has begun."""
        self._process.terminate()

    @property
    def code(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.poll()

    def check(self) -> None:
        """Raise `OutboxError`, with its last words, if it has ended badly and not by our kill."""
        code = self.code
        if code in {None, 0} or self._killed:
            return
        said = self._log.read_text(errors="replace").splitlines() or ["nothing"]
        msg = f"the worker {self.pid} ended with exit code {code}; its last line was: {said[-1]}"
        raise OutboxError(msg, hint="Run the demo with --keep to read the whole log.")


class Workers:
    """Starts workers on one database and one endpoint."""

    def __init__(self, folder: Path, database_url: str, endpoint: str) -> None:
        self._folder = folder
        self._flags = [f"--database-url={database_url}", f"--endpoint={endpoint}"]
        self._flags += [f"--{name}={value}" for name, value in _SETTINGS.items()]
        self._started: list[WorkerProcess] = []

    def start(self, *arguments: str) -> WorkerProcess:
        """Start one more."""
        log = self._folder / f"worker-{len(self._started) + 1}.log"
        # -P: a file or folder named outbox, where the demo is run, is not taken for the program.
        command = [sys.executable, "-P", "-m", "outbox.demo.leash", str(os.getpid()), "worker"]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                [*command, *arguments, *self._flags], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._started.append(WorkerProcess(process, log))
        return self._started[-1]

    def check(self) -> None:
        """Raise `OutboxError` if one has ended badly."""
        for each in self._started:
            each.check()

    def end(self) -> None:
        """Kill what still runs."""
        for each in self._started:
            each.kill()
