"""The benchmarks are for people, and still work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from outbox.migrate import current, upgrade
from support.databases import Database
from support.project import ROOT

_SCRIPT = ROOT / "benchmarks" / "cpu_per_event.py"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(_SCRIPT), "--events", "500", "--rounds", "1", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_cpu_per_event_measures_both_and_leaves_nothing_behind(empty_database: Database) -> None:
    """It delivers, compares with bare POSTs, and removes its tables."""
    done = _run("--database", empty_database.url, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["worker"]["cpu_us"] > 0
    assert found["bare POSTs"]["cpu_us"] > 0
    assert found["ratio"] > 0
    assert current(empty_database.engine) == []


def test_cpu_per_event_touches_no_outbox_of_others(tmp_path: Path) -> None:
    """A database that holds an outbox is refused, in one line, and left as it is."""
    database = Database("sqlite", f"sqlite:///{tmp_path / 'outbox.db'}")
    upgrade(database.engine)
    done = _run("--database", database.url)
    assert done.returncode == 78
    assert "holds an outbox already" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert current(database.engine) != []
    database.dispose()
