"""The log as a machine reads it: priorities for the journal, one entry for each line."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from outbox.testing import ThreadedFakeServer
from support.databases import Database
from support.rows import put
from support.trouble import BODY
from support.workers import COMMAND

sqlite_only = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def _log(settings: dict[str, str], log: Path, *, journal: bool) -> tuple[int, list[str]]:
    """Run a round with stderr connected to a file that is, or is not, what JOURNAL_STREAM names."""
    with log.open("wb") as output:
        found = os.fstat(output.fileno())
        stream = f"{found.st_dev}:{found.st_ino + (not journal)}"
        done = subprocess.run(
            [*COMMAND, "worker", "--once"], env=settings | {"JOURNAL_STREAM": stream}, stderr=output, check=False
        )
    return done.returncode, log.read_text().splitlines()


@sqlite_only
@pytest.mark.parametrize("form", ["console", "json"])
def test_the_journal_is_told_how_urgent_a_line_is(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path, form: str
) -> None:
    """Systemd takes `<4>` for a warning and keeps it apart from the text."""
    put(database, body=BODY)
    destination.script = "400"
    _, lines = _log(settings | {"OUTBOX_LOG_FORMAT": form}, tmp_path / "log", journal=True)
    assert all(re.match(r"<[2-7]>\S", line) for line in lines)
    assert [line[:3] for line in lines if "failed (rejected)" in line] == ["<4>"]
    assert [line[:3] for line in lines if "ended: " in line] == ["<6>"]


@sqlite_only
def test_nobody_else_is_told(settings: dict[str, str], tmp_path: Path) -> None:
    """A child of a service inherits the variable; its output may go elsewhere."""
    _, lines = _log(settings, tmp_path / "log", journal=False)
    assert lines
    assert not any(line.startswith("<") for line in lines)


@sqlite_only
def test_the_last_line_of_a_worker_that_cannot_start_is_an_error(settings: dict[str, str], tmp_path: Path) -> None:
    """What stopped a service is found by `journalctl -p err`."""
    code, lines = _log(settings | {"OUTBOX_LEASE": "1s"}, tmp_path / "log", journal=True)
    assert code == 78
    assert lines[-1].startswith("<3>outbox: OUTBOX_LEASE is 1s")


@sqlite_only
def test_each_line_of_a_traceback_has_its_priority(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """The journal makes an entry of each line; those without a number would be informational."""
    (tmp_path / "sitecustomize.py").write_text(
        "from outbox.delivery.client import Client\n"
        "async def post(self, request):\n    raise RuntimeError('a fault of ours')\n"
        "Client.post = post\n"
    )
    put(database, body=BODY)
    path = os.pathsep.join([str(tmp_path), settings.get("PYTHONPATH", "")])
    _, lines = _log(settings | {"PYTHONPATH": path}, tmp_path / "log", journal=True)
    (first,) = [place for place, line in enumerate(lines) if "raised; it will be claimed again" in line]
    (last,) = [place for place, line in enumerate(lines) if line.endswith("builtins.RuntimeError")]
    assert last > first + 1
    assert all(line.startswith("<3>") for line in lines[first : last + 1])
