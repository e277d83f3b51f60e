"""`outbox …` on a pseudo-terminal, for commands that go on until they are ended."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from select import select
from typing import Self


class Screen:
    """A running command, and every byte that its terminal has received."""

    def __init__(self, *arguments: str, rows: int = 60, columns: int = 200) -> None:
        self.received = b""
        self._reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        settings = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "LINES", "COLUMNS"}}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "outbox", *arguments],
            env=settings | {"TERM": "xterm-256color"},
            stdin=writer,
            stdout=writer,
            stderr=writer,
        )
        os.close(writer)

    def wait_for(self, text: bytes, *, after: int = 0, seconds: float = 30.0) -> None:
        """Read until the text has come, behind the first so many bytes."""
        deadline = time.monotonic() + seconds
        while text not in self.received[after:]:
            assert time.monotonic() < deadline, self.received[-2000:]
            assert self._read(deadline), self.received[-2000:]

    def end(self, seconds: float = 30.0) -> int:
        """Read to the end and give the exit code."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        return self.process.wait(max(1.0, deadline - time.monotonic()))

    def _read(self, deadline: float) -> bytes:
        if not select([self._reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return b""
        try:
            part = os.read(self._reader, 65536)
        except OSError:  # the other side has closed: on Linux an error, not an end
            return b""
        self.received += part
        return part

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._reader)
