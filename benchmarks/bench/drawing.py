"""Plots of results: made by `benchmarks/plots`, in the environment that has matplotlib."""

from __future__ import annotations

from pathlib import Path

from bench import environments
from bench.child import ROOT, run

IMAGES = ROOT / "docs" / "images"


def draw(results: Path, into: Path = IMAGES) -> dict[str, str]:
    """Draw what the results hold, and give the file's name for each section that has a plot."""
    command = [environments.python("plots"), "-m", "plots", results.resolve(), into.resolve()]
    drawn: dict[str, str] = run(command, env={"PYTHONPATH": str(ROOT / "benchmarks")})["drawn"]
    return drawn
