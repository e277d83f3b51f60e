"""What `import outbox` adds to the start of an application that uses SQLAlchemy's ORM."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bars.bar import Bar, Figure
from support.databases import Database

_ROOT = Path(__file__).parents[2]
_ORM = "import sqlalchemy.orm"
_NAMES = "from outbox import Event, Identity, enqueue"
_PROGRAMS = {
    _ORM: _ORM,
    "import outbox": "import outbox",
    _NAMES: _NAMES,
    f"{_ORM}; {_NAMES}": f"{_ORM}; {_NAMES}",
}
_TIMED = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"


def measure(_database: Database, *, rounds: int = 25) -> Iterator[Figure]:
    """Time imports in fresh interpreters, by turns; without the interpreter's own start."""
    took: dict[str, list[float]] = {what: [] for what in _PROGRAMS}
    for turn in range(rounds + 1):
        for what, program in _PROGRAMS.items():
            seconds = _seconds(program)
            if turn:  # the first ones write the bytecode
                took[what].append(seconds)
    orm = median(took.pop(_ORM))
    for what, seconds_each in took.items():
        ratio = median(seconds_each) / orm
        yield Figure(f"{what}, to {_ORM} in {orm * 1000:.0f} ms", ratio, most=1.3, unit=" x", timed=True)


def _seconds(program: str) -> float:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", _TIMED.format(program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


BAR = Bar("imports", measure, kinds=("sqlite",), short={"rounds": 2})
