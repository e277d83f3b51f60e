"""What the protocol must reach, measured against private servers: `make bars`.

Each bar is a function that runs long for the figures that are published, and short as a test of `make test`.
"""

from __future__ import annotations

from bars import inserts, keyed_backlog, limit, one_key, ordering, plans, snapshot, stops, upgrades

_ROOMS = (plans, limit, snapshot, inserts, ordering, keyed_backlog, one_key, stops, upgrades)

BARS = {room.BAR.name: room.BAR for room in _ROOMS}
