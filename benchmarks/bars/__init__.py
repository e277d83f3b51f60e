"""What the protocol must reach, measured against private servers: `make bars`.

Each bar is a function that runs long for the figures that are published, and short as a test of `make test`.
"""

from __future__ import annotations

from bars import (
    enqueue,
    hanging,
    hostile,
    imports,
    inserts,
    keyed_backlog,
    latency,
    limit,
    one_key,
    ordering,
    outage,
    pace,
    plans,
    replay,
    scale,
    snapshot,
    stops,
    upgrades,
    wakeups,
)

_ROOMS = (
    enqueue,
    imports,
    plans,
    limit,
    snapshot,
    scale,
    inserts,
    ordering,
    keyed_backlog,
    one_key,
    stops,
    upgrades,
    outage,
    pace,
    hanging,
    hostile,
    latency,
    wakeups,
    replay,
)

BARS = {room.BAR.name: room.BAR for room in _ROOMS}
