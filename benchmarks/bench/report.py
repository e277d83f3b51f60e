"""Results as Markdown, for the terminal and for `docs/performance.md`: no figure is typed by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any

from bench.results import Section

TITLES = {
    "compare": "Throughput",
    "distant": "A destination 50 ms away",
    "cores": "Two workers on two cores",
    "latency": "From commit to delivered, on an idle system",
    "idle": "An idle worker",
    "memory": "Memory over many events",
}
_MARKS = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def write(page: Path, found: Mapping[str, Section], plots: Mapping[str, str]) -> None:
    """Put the report between the marks of a page, with the plots that sections have."""
    text = page.read_text(encoding="utf-8")
    page.write_text(_MARKS.sub(lambda marks: f"{marks[1]}\n{report(found, plots)}\n{marks[2]}", text), encoding="utf-8")


def report(found: Mapping[str, Section], plots: Mapping[str, str] = MappingProxyType({})) -> str:
    """All sections, and the machine that they were measured on."""
    sweeps = {name: f"Settings tried: {name.partition(' ')[2]}" for name in sorted(found) if name.startswith("sweep ")}
    titles = {**TITLES, **sweeps}
    parts = [
        "\n".join(_section(title, found[name], plots.get(name))) for name, title in titles.items() if name in found
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, part: Section, plot: str | None) -> Iterator[str]:
    yield f"### {title}"
    yield ""
    if plot:
        yield f"![{title}](images/{plot})"
        yield ""
    yield _surroundings(part)
    yield ""
    if "rows" in part:
        yield from _rows(part["rows"])
        yield ""
        yield from _chosen(part["rows"])
    if "tried" in part:
        yield from _tried(part["tried"])
    if part["figures"]:
        yield from _figures(part["figures"])


def _figures(figures: list[dict[str, Any]]) -> Iterator[str]:
    yield "| | Measured | Bar | |"
    yield "|---|---:|---:|---|"
    for each in figures:
        verdict = "" if not each["wanted"] else "reached" if each["holds"] else "**missed**"
        wanted = each["wanted"].replace("<=", "≤").replace(">=", "≥")
        yield f"| {each['what']} | {_number(each['measured'])}{each['unit']} | {wanted} | {verdict} |"


def _surroundings(part: Section) -> str:
    machine = part["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in part["versions"].items())
    settings = ", ".join(f"{name} {_shown(value)}" for name, value in part["settings"].items() if value not in ("", {}))
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory']}, {machine['system']}; {versions}; "
        f"{settings}."
    )


def _rows(rows: list[dict[str, Any]]) -> Iterator[str]:
    bare = next((row["rate"] for row in rows if row["name"] == "bare"), None)
    yield "| | Database | HTTP client | Events/s | Lowest to highest | Of the bare loop | CPU of the process, per event |"
    yield "|---|---|---|---:|---:|---:|---:|"
    for row in sorted(rows, key=lambda row: -row["rate"]):
        share = f"{row['rate'] / bare * 100:.0f} %" if bare else ""
        yield (
            f"| {row['name']} | {row['database']} | {row['note']} | {row['rate']:,.0f} | {min(row['rates']):,.0f} to "
            f"{max(row['rates']):,.0f} | {share} | {row['cpu_us']:.0f} µs |"
        )


def _tried(tried: list[dict[str, Any]]) -> Iterator[str]:
    """What a sweep found, the fastest in bold."""
    yield "| Settings | Events/s | CPU of the process, per event |"
    yield "|---|---:|---:|"
    fastest = max(median(each["rates"]) for each in tried)
    for each in tried:
        rate = median(each["rates"])
        bold = "**" if rate == fastest else ""
        shown = _list(each["changes"]) if each["changes"] else "as chosen"
        yield f"| {shown} | {bold}{rate:,.0f}{bold} | {median(each['cpu_us']):.0f} µs |"


def _chosen(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The settings of the peers."""
    for row in rows:
        if row["settings"]:
            yield f"- {row['name']}: {row['events']:,} events a round, {_list(row['settings'])}."
    if any(row["settings"] for row in rows):
        yield ""


def _list(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}` {_shown(value)}" for name, value in settings.items())


def _shown(value: Any) -> str:
    return f"{value:,}" if type(value) is int else str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
