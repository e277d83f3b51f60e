"""What a service manager tells the process that it has started, in variables of systemd's making."""

from __future__ import annotations

import os
from typing import NamedTuple


class Supervisor(NamedTuple):
    """A service manager that wants to be told how its service is."""

    socket: str
    """Where it listens: a path, or a name in the abstract namespace behind an @."""
    watchdog: float | None
    """Seconds of silence after which it takes the service for wedged; None: it does not watch."""


def take_supervisor() -> Supervisor | None:
    """Who wants to be told of this process, if anybody does.

    It is taken out of the environment: a child must not speak in this process's place.
    """
    names = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    address, watchdog, pid = (os.environ.pop(name, "") for name in names)
    if not address.startswith(("/", "@")):
        return None
    is_meant = watchdog.isdecimal() and int(watchdog) > 0 and pid in {"", str(os.getpid())}
    return Supervisor(address, int(watchdog) / 1_000_000 if is_meant else None)
