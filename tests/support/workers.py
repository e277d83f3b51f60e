"""Workers for tests: the real command in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.waiting import eventually

COMMAND = [sys.executable, "-m", "outbox"]

FAST = {
    "OUTBOX_LEASE": "2s",
    "OUTBOX_TRY_TIMEOUT": "1s",
    "OUTBOX_RETRY_SCHEDULE": "50ms",
    "OUTBOX_DRAIN_TIMEOUT": "5s",
}
"""Settings under which a test need not wait for minutes."""


def environment(database_url: str, endpoint: str, **settings: Any) -> dict[str, str]:
    """Give the environment of a worker; `lease="3s"` is OUTBOX_LEASE."""
    given = {f"OUTBOX_{name.upper()}": str(value) for name, value in settings.items()}
    ours = {"OUTBOX_DATABASE_URL": database_url, "OUTBOX_ENDPOINT": endpoint}
    return os.environ | FAST | ours | given


@dataclass
class WorkerProcess:
    """A running `outbox worker`."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def text(self) -> str:
        """What it has logged so far."""
        return self.log.read_text()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it, and to it alone."""
        self.process.send_signal(number)

    def wait(self, timeout: float = 20.0) -> int:
        """Wait for its end and give its exit code."""
        return self.process.wait(timeout)

    def ended_within(self, seconds: float) -> bool:
        """Wait a little for its end; whether it came."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def until(self, words: str, timeout: float = 30.0) -> None:
        """Wait until it has logged these words."""
        eventually(lambda: words in self.text, timeout=timeout)


@contextmanager
def worker(
    folder: Path, settings: dict[str, str], *arguments: str, command: Sequence[str] = COMMAND
) -> Iterator[WorkerProcess]:
    """Run `outbox worker` until the block ends."""
    log = folder / f"worker-{len(list(folder.glob('worker-*.log')))}.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "worker", *arguments], env=settings, stderr=output, stdout=output)
    try:
        yield WorkerProcess(process, log)
    finally:
        process.kill()
        process.wait()


def run(settings: dict[str, str], *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run an `outbox` command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], env=settings, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def drain(settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `outbox worker --drain`, which must succeed."""
    done = run(settings, "worker", "--drain")
    assert done.returncode == 0, done.stderr
    return done
