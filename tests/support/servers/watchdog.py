"""A shell that outlives us by a moment: it ends our server and removes its data when we die, however we die."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

# Each line that we write names the process to end; an empty line means none. The end of the input is our end.
_SCRIPT = """
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
  kill -"$2" "$pid"
  tries=0
  while kill -0 "$pid" && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -KILL "$pid"
fi
tries=0
until rm -rf "$1" || [ $tries -ge 20 ]; do sleep 0.1; tries=$((tries + 1)); done
"""


class Watchdog:
    """Guards one server at a time; a session of its own keeps Ctrl-C and a kill of our group from it."""

    def __init__(self, home: Path, how: signal.Signals) -> None:
        reading, self._writing = os.pipe()
        with os.fdopen(reading) as end:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, "outbox-watchdog", str(home), how.name.removeprefix("SIG")],
                stdin=end,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def guard(self, pid: int | None) -> None:
        """Name the process that must not outlive us."""
        os.write(self._writing, f"{pid or ''}\n".encode())

    def dismiss(self) -> None:
        """End the watch; it removes the home as its last act."""
        os.close(self._writing)
        self._process.wait(timeout=30)
