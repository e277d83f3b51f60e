"""The contest: all contestants, one after the other, round after round; medians and ratios."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bars.bar import Figure
from bench.contestants import Contestant, Turn, write_body
from bench.servers import Servers
from bench.sinks import Cheap

PYTHON_PEERS = ("pgqueuer", "faststream-outbox", "procrastinate")


class FiguresMeanNothing(Exception):
    """What arrived is not what was sent: whatever was measured, it was something else."""


@dataclass
class Row:
    """What one contestant reached."""

    contestant: Contestant
    events: int
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """CPU seconds of an event."""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Events a second, the median."""
        return median(self.rates)


def compare(
    contestants: Sequence[Contestant], servers: Servers, sink: Cheap, folder: Path, *, events: int, rounds: int,
    changes: Sequence[str] = (),
) -> list[Row]:  # fmt: skip
    """Let them run in turn. `changes` are settings of our own worker."""
    body = write_body(folder)
    rows = [Row(each, each.events(events)) for each in contestants]
    for number in range(rounds):
        for row in rows:
            ours = changes if not row.contestant.environment else ()
            found = once(row.contestant, Turn(servers, sink.url, body, row.events, ours), sink)
            row.rates.append(row.events / found["seconds"])
            row.cpu.append(found["cpu_seconds"] / row.events)
            row.settings = found.get("settings", {})
            print(f"round {number + 1}  {row.contestant.name:30} {row.rates[-1]:>9,.0f}/s", file=sys.stderr, flush=True)
    return rows


def once(contestant: Contestant, turn: Turn, sink: Cheap) -> dict[str, Any]:
    """Let a contestant take its turn, and count what arrived. Raises `FiguresMeanNothing`."""
    before = sink.count()
    found = contestant.take(turn)
    check(contestant.name, turn.events, sink.count() - before, found["done"])
    return found


def check(name: str, events: int, arrived: int, done: int) -> None:
    """Raise `FiguresMeanNothing` unless all has arrived once and is done."""
    if arrived != events or done != events:
        msg = f"{name}: of {events:,} events {arrived:,} POSTs arrived and {done:,} were done"
        raise FiguresMeanNothing(msg)


def figures(rows: Sequence[Row]) -> list[Figure]:
    """What the bars are about, as far as who they compare took part."""
    rates = {row.contestant.name: row.rate for row in rows}
    cpu = {row.contestant.name: median(row.cpu) for row in rows}
    found = []
    if "bare" in rates:
        for kind, least in (("sqlite", 0.55), ("postgresql", 0.45), ("mariadb", 0.42)):
            if kind in rates:
                share = _best(rates, kind) / _best(rates, "bare")
                found.append(Figure(f"{kind}: of the bare loop, each at its best", share, least=least, timed=True))
                found.append(Figure(f"{kind}: of the bare loop, both at concurrency 64", rates[kind] / rates["bare"]))
                found.append(Figure(f"{kind}: CPU beside the bare loop's", cpu[kind] / cpu["bare"], unit=" x"))
    for what, names, least in (
        ("graphile-worker's best", ("graphile-worker",), 2),
        ("best Python peer", PYTHON_PEERS, 7),
    ):
        peers = [rate for name, rate in rates.items() if name.startswith(names)]
        if peers and "postgresql" in rates:
            beside = _best(rates, "postgresql") / max(peers)
            found.append(Figure(f"postgresql: beside {what}", beside, least=least, unit=" x", timed=True))
    return found


def _best(rates: Mapping[str, float], name: str) -> float:
    """The best rate of all that this one has been tried with."""
    return max(rate for each, rate in rates.items() if each == name or each.startswith(f"{name}-"))
