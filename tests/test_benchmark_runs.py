"""The benchmarks are for people, and still work. No peer takes part: their environments need a package index."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bars.bar import Figure
from bench import results
from bench.compare import FiguresMeanNothing, check
from bench.report import report, write
from support.project import ROOT


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(ROOT / folder) for folder in ("benchmarks", "tests", "."))
    command = [sys.executable, "-m", "bench", *arguments]
    surroundings = os.environ | {"PYTHONPATH": path}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=surroundings)


def test_the_contest_measures_the_worker_beside_the_bare_client(tmp_path: Path) -> None:
    """It delivers, counts what arrived, prints a table, and keeps each round's figures."""
    file = tmp_path / "results.json"
    sizes = ["--events", "300", "--rounds", "2", "--json", str(file)]
    done = _bench("compare", "--only", "sqlite", "bare", *sizes)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(file.read_text())["compare"]["rows"]}
    assert rows.keys() == {"sqlite", "bare"}
    for row in rows.values():
        assert row["events"] == 300
        assert len(row["rates"]) == 2
        assert row["cpu_us"] > 0
    assert f"| sqlite | sqlite | pyreqwest | {rows['sqlite']['rate']:,.0f} |" in done.stdout
    assert "sqlite: of the bare loop, each at its best" in done.stdout


def test_latency_is_from_commit_to_arrival(tmp_path: Path) -> None:
    """Each commit of the other process is found again among what arrived."""
    file = tmp_path / "results.json"
    done = _bench("latency", "--database", "sqlite", "--commits", "3", "--json", str(file))
    assert done.returncode == 0, done.stderr
    assert len(json.loads(file.read_text())["latency"]["milliseconds"]["sqlite"]) == 3


def test_a_setting_reaches_the_worker(tmp_path: Path) -> None:
    """What `--set` names is a setting of the outbox, or the run ends."""
    done = _bench("compare", "--only", "sqlite", "--events", "200", "--rounds", "1", "--set", "concurrency=none",
                  "--json", str(tmp_path / "results.json"))  # fmt: skip
    assert done.returncode == 1
    assert "OUTBOX_CONCURRENCY" in done.stderr


@pytest.mark.parametrize(("arrived", "done"), [(9, 10), (11, 10), (10, 9)])
def test_there_is_no_figure_when_the_count_is_wrong(arrived: int, done: int) -> None:
    """Each event arrives once and is done, or nothing is said of how fast it was."""
    with pytest.raises(FiguresMeanNothing):
        check("somebody", 10, arrived, done)


def test_the_report_goes_between_the_marks_of_the_page(tmp_path: Path) -> None:
    """Whatever stood there is replaced, and what stands around it stays."""
    page = tmp_path / "performance.md"
    page.write_text("before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n")
    part = results.section({"rounds": 5}, {"PostgreSQL": "15.1"}, [Figure("of the bare loop", 0.5, least=0.45)])
    write(page, {"compare": part}, {"compare": "throughput.svg"})
    text = page.read_text()
    assert text.startswith("before\n<!-- figures -->\n\n### Throughput\n\n![Throughput](images/throughput.svg)\n")
    assert "| of the bare loop | 0.5 | ≥ 0.45 | reached |" in text
    assert text.endswith("\n<!-- end of figures -->\nafter\n")
    assert "old" not in text


def test_a_bar_that_is_missed_is_said(tmp_path: Path) -> None:
    """In the table, and by its name."""
    part = results.section({}, {}, [Figure("of the bare loop", 0.4, least=0.45)])
    assert "**missed**" in report({"compare": part})
    assert results.missed({"compare": part}) == ["of the bare loop"]
    results.keep(tmp_path / "results.json", {"compare": part})
    results.keep(tmp_path / "results.json", {"idle": part})
    assert json.loads((tmp_path / "results.json").read_text()).keys() == {"compare", "idle"}


def test_a_sweep_shows_the_fastest_settings() -> None:
    """By the median of its rounds."""
    slow = {"changes": {}, "rates": [900.0, 1000.0, 5000.0], "cpu_us": [10.0]}
    fast = {"changes": {"batch": 500}, "rates": [2000.0, 2000.0, 100.0], "cpu_us": [5.0]}
    shown = report({"sweep somebody": results.section({}, {}, [], tried=[slow, fast])})
    assert "### Settings tried: somebody" in shown
    assert "| as chosen | 1,000 | 10 µs |" in shown
    assert "| `batch` 500 | **2,000** | 5 µs |" in shown
