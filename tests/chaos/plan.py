"""What a campaign does: how long, how much, how often each fault, all of it from one seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """The faults."""

    KILL = "kill"
    """SIGKILL of a worker."""
    FREEZE = "freeze"
    """SIGSTOP of a worker for longer than its lease, then SIGCONT."""
    BACKEND = "backend"
    """The end of one database connection of a worker's, by the server; on PostgreSQL at times with all others."""
    SERVER = "server"
    """SIGKILL of the database server, and its start on the same data."""
    PROXY = "proxy"
    """The network between the database and one of its clients stalls, loses answers, or breaks."""
    DEPLOY = "deploy"
    """SIGTERM of a worker, and the start of its successor."""
    CLOCK = "clock"
    """As `DEPLOY`, and the successor's wall clock is an hour off."""


CUTTING = (Kind.KILL, Kind.FREEZE, Kind.BACKEND, Kind.SERVER, Kind.PROXY)
"""Those that can come between a POST and its settle: each may cause duplicates."""

LEASE_SECONDS = 2.0
TRY_SECONDS = 1.0

_MINUTES = 12
_TARGETS = {
    Kind.KILL: 500,
    Kind.FREEZE: 100,
    Kind.BACKEND: 100,
    Kind.SERVER: 50,
    Kind.PROXY: 100,
    Kind.DEPLOY: 50,
    Kind.CLOCK: 25,
}
_EVENTS = 105_000
"""What twelve minutes hold; a longer or shorter campaign in proportion. More than 100,000, since some roll back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One campaign."""

    kind: str
    """`sqlite`, `postgresql` or `mariadb`."""
    seed: int
    seconds: float
    """How long the faults are spread over; it ends when all of them were done."""
    events: int
    """How many events the producers aim to commit in that time."""
    counts: Mapping[Kind, int] = field(default_factory=dict)
    workers: int = 3
    producers: int = 3
    concurrency: int = 8

    @classmethod
    def lasting(
        cls,
        kind: str,
        minutes: float,
        seed: int,
        *,
        events: int | None = None,
        counts: Mapping[Kind, int] | None = None,
    ) -> Plan:
        """As many events and faults as the minutes hold, but where a count is given."""
        share = minutes / _MINUTES
        scaled = {each: max(1, round(target * share)) for each, target in _TARGETS.items()}
        return cls(
            kind=kind,
            seed=seed,
            seconds=minutes * 60,
            events=round(_EVENTS * share) if events is None else events,
            counts=scaled | dict(counts or {}),
        )

    def random(self, *about: object) -> random.Random:
        """Chance for one purpose: the same for the same seed, whatever else happens."""
        return random.Random(":".join(map(str, (self.seed, *about))))  # noqa: S311 - repeatable on purpose

    def moments(self, kind: Kind) -> list[float]:
        """When this kind of fault strikes, in seconds from the start."""
        chance = self.random(kind)
        return sorted(chance.uniform(0.02, 0.98) * self.seconds for _ in range(self.counts.get(kind, 0)))
