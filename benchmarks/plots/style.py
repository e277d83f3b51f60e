"""How every plot looks: readable on a light and on a dark page, and the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

OURS, THEIRS, BARE = "#2f6f9f", "#9aa7b2", "#d9a441"
LINES = (OURS, "#b5533c", "#5a8f4e", "#7d5ba6")


@contextmanager
def plot(file: Path, title: str, *, height: float = 4.0) -> Iterator[Axes]:
    """Give axes to draw on, and write them to the file."""
    mpl.rcParams.update(
        {"svg.hashsalt": "outbox", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}
    )
    figure, axes = plt.subplots(figsize=(8, height), layout="constrained")
    figure.set_facecolor("white")  # a page in dark mode shows it as a sheet of paper
    axes.set_title(title, loc="left", fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    yield axes
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
