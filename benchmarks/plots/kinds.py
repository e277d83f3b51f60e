"""The kinds of plots: bars, distributions, and lines over something that grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from plots.style import LINES, plot


def bars(file: Path, title: str, values: Sequence[tuple[str, float, str]], unit: str) -> None:
    """Horizontal bars from names, values and colours, the largest on top."""
    ordered = sorted(values, key=lambda each: each[1])
    with plot(file, title, height=0.8 + 0.34 * len(ordered)) as axes:
        drawn = axes.barh(
            [name for name, _, _ in ordered],
            [value for _, value, _ in ordered],
            color=[colour for _, _, colour in ordered],
        )
        axes.bar_label(drawn, fmt="{:,.0f}", padding=4)
        axes.set_xlabel(unit)
        axes.margins(x=0.12)


def distribution(file: Path, title: str, series: Mapping[str, Sequence[float]], unit: str) -> None:
    """Which share of the values is at most so large, one line for each series, on a logarithmic axis."""
    with plot(file, title) as axes:
        for colour, (name, values) in zip(LINES, series.items(), strict=False):
            ordered = sorted(max(value, 0.01) for value in values)
            shares = [(place + 1) / len(ordered) * 100 for place in range(len(ordered))]
            axes.step(ordered, shares, where="post", label=name, color=colour)
        axes.set_xscale("log")
        axes.set_xlabel(unit)
        axes.set_ylabel("% of events")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(frameon=False)


def over(
    file: Path,
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    across: str,
    up: str,
    *,
    log: bool = False,
) -> None:
    """Lines over something that grows: a backlog, events delivered. `log` for a logarithmic axis across."""
    with plot(file, title) as axes:
        for colour, (name, points) in zip(LINES, series.items(), strict=False):
            axes.plot([x for x, _ in points], [y for _, y in points], label=name, color=colour)
        if log:
            axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(frameon=False)
