"""Draw what a file of results holds: `python -m plots results.json docs/images` prints the files that it wrote."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from plots.kinds import bars, distribution, over
from plots.style import BARE, OURS, THEIRS

_OURS = ("sqlite", "postgresql", "mariadb")


def main() -> None:
    """Draw each section that there is a plot for."""
    results, folder = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name, file, draw in (
        ("compare", "throughput.svg", _throughput),
        ("latency", "latency.svg", _latency),
        ("memory", "memory.svg", _memory),
    ):
        if name in results:
            draw(folder / file, results[name])
            drawn[name] = file
    print(json.dumps({"drawn": drawn}))


def _throughput(file: Path, part: dict[str, Any]) -> None:
    values = [(_label(row["name"]), row["rate"], _colour(row["name"])) for row in part["rows"]]
    bars(file, "Events delivered by one worker process", values, "events a second, median")


def _label(name: str) -> str:
    kind, _, concurrency = name.partition("-")
    if kind not in _OURS and kind != "bare":
        return name
    label = f"outbox, {kind}" if kind in _OURS else "bare pyreqwest loop, no database"
    return f"{label}, {concurrency} at once" if concurrency else label


def _colour(name: str) -> str:
    kind = name.partition("-")[0]
    return BARE if kind == "bare" else OURS if kind in _OURS else THEIRS


def _latency(file: Path, part: dict[str, Any]) -> None:
    distribution(file, "From commit to delivered, on an idle system", part["milliseconds"], "ms")


def _memory(file: Path, part: dict[str, Any]) -> None:
    over(file, "Resident memory of a worker", part["mebibytes"], "events delivered", "MiB")


if __name__ == "__main__":
    main()
