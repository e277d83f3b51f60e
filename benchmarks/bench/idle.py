"""What a worker costs that has nothing to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from bars.bar import Figure
from bench.child import run
from support.databases import Database

NOWHERE = "http://127.0.0.1:9/"
"""Nothing is sent."""


def idle(database: Database, *, seconds: float, settings: Mapping[str, str]) -> dict[str, float]:
    """Leave a worker alone, and give its CPU in per cent of a core and its statements a second."""
    changes = [f"--set={name}={value}" for name, value in settings.items()]
    target = ["--database", database.url, "--sink", NOWHERE, "--seconds", str(seconds), *changes]
    return run([sys.executable, "-m", "bench.ours", "idle", *target])


def figures(kind: str, found: Mapping[str, float]) -> Iterator[Figure]:
    """Both."""
    yield Figure(f"{kind}: idle, CPU of a core", found["cpu_percent"], most=0.5, unit=" %", timed=True)
    yield Figure(f"{kind}: idle, statements a second", found["queries"], most=10, unit="/s")
