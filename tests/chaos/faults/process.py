"""Faults of a worker's process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from chaos.faults.scene import Fault, Scene
from chaos.fleet import Worker
from chaos.plan import LEASE_SECONDS, Kind
from support.databases import Database


def kill(scene: Scene, chance: Random) -> Fault:
    """SIGKILL a worker, and start the next."""
    with scene.fleet.hold(chance) as slot:
        began, victim = time.monotonic(), slot.worker
        victim.kill()
        scene.fleet.fill(slot)
        return _fault(Kind.KILL, began, victim, "SIGKILL")


def freeze(scene: Scene, chance: Random) -> Fault:
    """Stop a worker for longer than its lease, and let it go on."""
    with scene.fleet.hold(chance) as slot:
        began, victim = time.monotonic(), slot.worker
        with _outside_of_transactions(scene.database):
            victim.freeze()
        time.sleep(LEASE_SECONDS + chance.uniform(0.2, 0.8))
        victim.thaw()
        return _fault(Kind.FREEZE, began, victim, "SIGSTOP, SIGCONT")


def deploy(scene: Scene, chance: Random) -> Fault:
    """Stop a worker as a deploy does, and start its successor."""
    with scene.fleet.hold(chance) as slot:
        began, victim = time.monotonic(), slot.worker
        scene.fleet.stop(slot)
        scene.fleet.fill(slot)
        return _fault(Kind.DEPLOY, began, victim, "SIGTERM")


def shift_clock(scene: Scene, chance: Random) -> Fault:
    """Replace a worker by one whose wall clock is wrong; the clock that leases are measured on is not."""
    shift = chance.choice(["+1h", "-1h"])
    assert scene.clock_library is not None
    with scene.fleet.hold(chance) as slot:
        began, victim = time.monotonic(), slot.worker
        scene.fleet.stop(slot)
        scene.fleet.fill(slot, LD_PRELOAD=scene.clock_library, FAKETIME=shift, DONT_FAKE_MONOTONIC="1")
        return _fault(Kind.CLOCK, began, victim, f"its successor's clock is off by {shift}")


def _fault(kind: Kind, began: float, victim: Worker, what: str) -> Fault:
    return Fault(kind, began, time.monotonic(), frozenset([victim.number]), frozenset(), what)


@contextmanager
def _outside_of_transactions(database: Database) -> Iterator[None]:
    """On SQLite: while nobody reads or writes. A process that is stopped in a transaction holds up everybody there."""
    if database.kind != "sqlite":
        yield
        return
    with database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            driver.execute("ROLLBACK")
