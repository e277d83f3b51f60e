"""What the protocol must reach, measured against private servers: `make bars`.

Each bar is a function that runs long for the figures that are published, and short as a test of `make test`.
"""

from __future__ import annotations

from bars import keyed_backlog, limit, one_key, plans, snapshot

BARS = {bar.name: bar for bar in (plans.BAR, limit.BAR, snapshot.BAR, one_key.BAR, keyed_backlog.BAR)}
