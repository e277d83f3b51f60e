"""Several workers and operators at a destination's row at the same time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from functools import partial
from threading import Barrier
from typing import TypeVar

import pytest
from sqlalchemy import select

from outbox.message import Cause
from outbox.schema import destination, utc_now
from outbox.store import Gate, Probe, Store
from outbox.store.engine import open_engine
from outbox.store.pauses import operator_pause
from outbox.store.transactions import Transactions
from support.databases import Database
from support.pauses import NAME, TIMES, a_store, fail, passes, row
from support.rows import LEASE, put
from support.waiting import eventually

R = TypeVar("R")
WORKERS = 8

_WAITING = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
    "mariadb": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
}


def together(database: Database, work: Callable[[Store, int], R]) -> list[R]:
    """Let workers, each with a connection of its own, do something at the same moment."""
    barrier = Barrier(WORKERS)

    def one(place: int) -> R:
        engine = open_engine(database.url)
        with closing(Store(engine)) as store:
            store.gates([NAME])
            barrier.wait()
            done = work(store, place)
        engine.dispose()
        return done

    with ThreadPoolExecutor(WORKERS) as pool:
        return [*pool.map(one, range(WORKERS))]


def probe(store: Store, _place: int) -> Probe | None:
    """Ask for the turn."""
    return store.probe(NAME, turn=9.0, lease=LEASE)


def pause(store: Store, place: int) -> Gate:
    """Meet the same outage as the others."""
    return fail(store, by=f"worker {place}")


def slots(store: Store, _place: int) -> list[float]:
    """Ask for some slots, several times."""
    return [time for _ in range(5) for time in store.slots(NAME, 3, rate=100.0, concurrency=4)]


@pytest.mark.parametrize("known", [False, True], ids=["no row", "paused"])
def test_one_of_many_has_the_turn(database: Database, known: bool) -> None:  # noqa: FBT001 - a case
    """Exactly one worker probes, with exactly one message, also where the row is yet to be made."""
    put(database, 20)
    for _ in range(3):
        if known:
            with a_store(database) as store:
                fail(store)
        passes(database, 600.0)
        probes = [each for each in together(database, probe) if each is not None]
        assert len(probes) == 1
        assert row(database).probe_token == probes[0].token
    with a_store(database) as store:
        assert store.waiting(NAME).leased == 3


@pytest.mark.parametrize("known", [False, True], ids=["no row", "open"])
def test_many_that_see_one_outage_make_one_pause(database: Database, known: bool) -> None:  # noqa: FBT001 - a case
    """All are told of the same pause, by the same worker; it is doubled once."""
    if known:
        with a_store(database) as store:
            store.slots(NAME, 1, rate=100.0, concurrency=1)
    gates = together(database, pause)
    assert len({(gate.by, gate.cause) for gate in gates}) == 1
    assert all(gate.remaining <= 2.4 for gate in gates)
    assert (row(database).pauses, row(database).paused_by) == (1, gates[0].by)


def test_no_slot_is_handed_out_twice(database: Database) -> None:
    """However many ask at once, the slots of all of them fill the time that the rate allows."""
    began = now(database)
    times = sorted(time for some in together(database, slots) for time in some)
    assert len(times) == WORKERS * 15
    assert (row(database).slot_at - began).total_seconds() >= len(times) / 100.0 - 0.002
    assert times[-1] - times[0] > (len(times) - 1) / 100.0 - 0.5


def meddle(database: Database, turn: Probe, store: Store, place: int) -> None:
    """Be an operator who pauses, the prober with what it has learnt, twice, or a worker that pauses."""
    if place == 0:
        with closing(Transactions(database.engine)) as transactions:
            transactions.run(operator_pause, NAME, "stop", "anna", seconds=60.0)
    elif place == 1:
        store.reopen(NAME, turn.token)
    elif place == 2:
        store.pause_again(NAME, turn.token, Cause.FAILING, "500", "prober", seconds=None, **TIMES)
    else:
        pause(store, place)


def test_an_operator_and_a_prober(database: Database) -> None:
    """Whoever of the two comes first, the operator's pause is in force afterwards."""
    put(database, 9)
    for _ in range(3):
        with a_store(database) as store:
            fail(store)
            passes(database, 10.0)
            turn = probe(store, 0)
            assert turn is not None
        together(database, partial(meddle, database, turn))
        assert (row(database).cause, row(database).paused_by) == ("operator", "anna")
        passes(database, 100.0)


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_whoever_waited_for_the_row_looks_at_the_clock_again(database: Database) -> None:
    """Slots that had to wait begin when the wait ended: those of the time before would be sent in a burst."""
    with a_store(database) as store:
        store.slots(NAME, 1, rate=100.0, concurrency=1)
    passes(database, 60.0)
    engine = open_engine(database.url)
    with ThreadPoolExecutor(1) as pool, closing(Store(engine)) as store:
        with database.engine.connect() as other, other.begin():
            other.execute(select(destination).where(destination.c.name == NAME).with_for_update()).all()
            asked = pool.submit(store.slots, NAME, 1, rate=100.0, concurrency=1)
            eventually(lambda: is_waiting(database), interval=0.15)
            released = now(database)
        assert len(asked.result(10)) == 1
    engine.dispose()
    assert row(database).slot_at > released


def now(database: Database) -> datetime:
    """The database's clock."""
    with database.engine.connect() as connection:
        found: datetime = connection.execute(select(utc_now())).scalar_one()
        return found


def is_waiting(database: Database) -> bool:
    """Whether somebody waits for a lock."""
    assert database.server is not None
    return bool(database.server.execute(_WAITING[database.kind], database=database.engine.url.database)[0][0])
