"""A process that measures something and prints one JSON object as its last line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_TIMEOUT = 3600.0


class ChildFailed(Exception):
    """A process that should have measured something ended without a figure."""


def run(command: Sequence[object], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run it to its end and give what it printed. Raises `ChildFailed`."""
    surroundings = {**os.environ, **(env or {})}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        shown = " ".join(str(part) for part in command[:5])
        msg = f"{shown} ended with {done.returncode}:\n{done.stderr[-2000:]}{done.stdout[-500:]}"
        raise ChildFailed(msg)
    found: dict[str, Any] = json.loads(lines[-1])
    return found
