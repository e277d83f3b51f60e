"""A service manager's notify socket, as systemd has one, and what a worker told it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from support.waiting import eventually


@dataclass
class ServiceManager:
    """Collects lines and when each came."""

    address: str
    """What NOTIFY_SOCKET is to be."""
    lines: list[tuple[float, str]] = field(default_factory=list)

    def environment(self, watchdog: float | None = None) -> dict[str, str]:
        """The variables of a service; `watchdog` in seconds."""
        usec = {} if watchdog is None else {"WATCHDOG_USEC": str(int(watchdog * 1_000_000))}
        return {"NOTIFY_SOCKET": self.address, **usec}

    def times(self, beginning: str) -> list[float]:
        """When lines with that beginning came."""
        return [moment for moment, line in self.lines if line.startswith(beginning)]

    def texts(self, beginning: str) -> list[str]:
        """The rest of those lines."""
        return [line.removeprefix(beginning) for _, line in self.lines if line.startswith(beginning)]

    def until(self, beginning: str, count: int = 1, timeout: float = 20.0) -> None:
        """Wait until so many lines with that beginning have come."""
        eventually(lambda: len(self.times(beginning)) >= count, timeout=timeout)

    def until_status(self, words: str, timeout: float = 20.0) -> None:
        """Wait until a status holds these words."""
        eventually(lambda: any(words in text for text in self.texts("STATUS=")), timeout=timeout)


@contextmanager
def service_manager(folder: Path, *, abstract: bool = False) -> Iterator[ServiceManager]:
    """Listen until the block ends."""
    name = f"outbox-test-{uuid4()}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(f"\0{name}" if abstract else str(folder / "notify"))
    manager = ServiceManager(f"@{name}" if abstract else str(folder / "notify"))

    def listen() -> None:
        while data := listener.recv(65_536):
            moment = time.monotonic()
            manager.lines += [(moment, line) for line in data.decode().splitlines()]

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield manager
    finally:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", listener.getsockname())
        thread.join(10)
        listener.close()
