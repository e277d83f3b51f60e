"""What faults happen to, and what is known of one that has happened."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import NamedTuple

from chaos.destination import Destination
from chaos.fleet import Fleet
from chaos.loop import LoopThread
from chaos.plan import Kind, Plan
from chaos.proxy import Proxy
from support.databases import Database


class Fault(NamedTuple):
    """One fault, when it had ended. Times are of `time.monotonic()`."""

    kind: Kind
    began: float
    ended: float
    workers: frozenset[int]
    """Workers that it struck."""
    producers: frozenset[int]
    what: str


@dataclass
class Scene:
    """The campaign's surroundings."""

    plan: Plan
    database: Database
    loop: LoopThread
    destination: Destination
    fleet: Fleet
    worker_proxies: list[Proxy | None]
    """By slot; None for a slot whose workers reach the database directly."""
    producer_proxies: list[Proxy | None]
    clock_library: str | None
    """libfaketime, where it is installed."""
    server_lock: threading.Lock = field(default_factory=threading.Lock)
    """Held by who ends the database, or connections of it."""

    @property
    def everybody(self) -> frozenset[int]:
        """All producers."""
        return frozenset(range(self.plan.producers))

    def workers_between(self, since: float, until: float) -> frozenset[int]:
        """All workers that lived then."""
        slots = self.fleet.slots
        return frozenset().union(*(self.fleet.lived(each.number, since, until) for each in slots))
