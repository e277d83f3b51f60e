"""The settings of the peers: what is tried, one setting at a time, and what each reaches."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.compare import once
from bench.contestants import Contestant, Turn, settings_of, write_body
from bench.servers import Servers
from bench.sinks import Cheap


@dataclass
class Tried:
    """One set of settings, and what it reached."""

    changes: dict[str, Any]
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        shown = json.dumps(self.changes) if self.changes else "as chosen"
        return f"{shown:40} {median(self.rates):>9,.0f}/s {median(self.cpu_us):>9,.0f} µs of CPU"


def sweep(
    contestant: Contestant, servers: Servers, sink: Cheap, folder: Path, *, events: int, rounds: int
) -> list[Tried]:  # fmt: skip
    """Try each set of settings, those chosen first; rounds go over all of them in turn."""
    body, count = write_body(folder), contestant.events(events)
    told = settings_of(contestant)
    fixed = {each.removeprefix("--set=").partition("=")[0] for each in contestant.sets}
    others = (
        changes
        for changes in told["sweep"]
        if not changes.items() <= told["best"].items() and not changes.keys() & fixed
    )
    tried = [Tried(changes) for changes in ({}, *others)]
    for number in range(rounds):
        for each in tried:
            given = [f"{name}={json.dumps(value)}" for name, value in each.changes.items()]
            found = once(contestant, Turn(servers, sink.url, body, count, given), sink)
            each.rates.append(count / found["seconds"])
            each.cpu_us.append(found["cpu_seconds"] / count * 1e6)
            print(f"round {number + 1}  {contestant.name:28} {each}", file=sys.stderr, flush=True)
    return tried
