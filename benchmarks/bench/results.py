"""What was measured, as JSON: one section for each thing, each with the machine, the versions and the settings."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bars.bar import Figure
from outbox import __version__

Section = dict[str, Any]

_PACKAGES = ("sqlalchemy", "pyreqwest", "uvloop", "psycopg", "pymysql")


def section(
    settings: Mapping[str, Any],
    versions: Mapping[str, str],
    figures: Iterable[Figure],
    **more: Any,
) -> Section:
    """Put together what one verb measured."""
    return {
        "machine": machine(),
        "versions": {**_own_versions(), **versions},
        "settings": dict(settings),
        "figures": [{**asdict(each), "wanted": each.wanted, "holds": each.holds()} for each in figures],
        **more,
    }


def keep(file: Path, found: Mapping[str, Section]) -> None:
    """Lay sections over those that the file has."""
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.write_text(json.dumps({**known, **found}, indent=1) + "\n", encoding="utf-8")


def missed(found: Mapping[str, Section]) -> Sequence[str]:
    """The bars that were missed."""
    return [each["what"] for part in found.values() for each in part["figures"] if not each["holds"]]


def machine() -> dict[str, str]:
    """The machine, as far as it matters to a figure."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _own_versions() -> dict[str, str]:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    packages = {name: version(name) for name in _PACKAGES}
    return {"outbox": __version__, "Python": python, "SQLite": sqlite3.sqlite_version, **packages}
