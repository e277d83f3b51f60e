"""Sending slots: a rate for the whole fleet, and the ramp after a pause."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from sqlalchemy import func, select

from outbox.clock import lease_clock
from outbox.schema import destination
from outbox.store import Store
from support.databases import Database
from support.pauses import NAME, a_store, fail, operate, passes, row
from support.rows import LEASE, put


def opened(database: Database, store: Store) -> None:
    """Let the destination come out of a pause now."""
    put(database)
    fail(store)
    passes(database, 10.0)
    probe = store.probe(NAME, turn=9.0, lease=LEASE)
    assert probe is not None
    assert store.reopen(NAME, probe.token)


def gaps(times: list[float]) -> list[float]:
    """The seconds between them."""
    return [later - earlier for earlier, later in pairwise(times)]


def test_nothing_limits_what_has_no_rate(database: Database) -> None:
    """Without a rate and without a pause that has just ended messages are sent at once, and no row is made for it."""
    with a_store(database) as store:
        assert store.slots(NAME, 100, rate=None, concurrency=4) == []
        with database.engine.connect() as connection:
            assert connection.execute(select(func.count()).select_from(destination)).scalar() == 0


def test_slots_are_a_rate_apart(database: Database) -> None:
    """Two workers that ask in turn are told to send at one even rate, beginning now."""
    with a_store(database) as one, a_store(database) as other:
        began = lease_clock()
        first = one.slots(NAME, 30, rate=1.0, concurrency=4)
        after_first = row(database).slot_at
        second = other.slots(NAME, 30, rate=1.0, concurrency=4)
    assert began <= first[0] < began + 5.0
    assert gaps(first) == pytest.approx([1.0] * 29)
    assert gaps(second) == pytest.approx([1.0] * 29)
    # What lies between two calls is as exact as the wait for an answer of the database's.
    assert second[0] - first[-1] == pytest.approx(1.0, abs=0.9)
    assert (row(database).slot_at - after_first).total_seconds() == pytest.approx(30.0, abs=0.01)


def test_what_was_not_sent_is_not_made_up_for(database: Database) -> None:
    """After an idle hour the next slots begin now, at the same rate: no burst."""
    with a_store(database) as store:
        store.slots(NAME, 10, rate=50.0, concurrency=4)
        passes(database, 3600.0)
        began = lease_clock()
        times = store.slots(NAME, 10, rate=50.0, concurrency=4)
    assert began <= times[0] < began + 5.0
    assert gaps(times) == pytest.approx([0.02] * 9)


def test_after_a_pause_the_rate_doubles_each_second(database: Database) -> None:
    """In the first second as many as the concurrency, twice as many in each that follows, and no limit after eight."""
    with a_store(database) as store:
        opened(database, store)
        times = store.slots(NAME, 1200, rate=None, concurrency=4)
    found = row(database)
    # The last slot and `slot_at` are one moment: nothing is between two slots when the ramp is over.
    ended = (found.slot_at - found.paused_until).total_seconds()
    counts = Counter(int(ended - (times[-1] - time) + 1e-4) for time in times)
    assert [*counts] == [*range(9)]
    for second in range(1, 8):
        assert counts[second] == pytest.approx(4 * 2**second, abs=1)
    assert counts[0] <= 4
    # A slot on a boundary falls to either side: microseconds are rounded.
    assert counts[8] == pytest.approx(times.count(times[-1]), abs=1)


def test_the_ramp_ends(database: Database) -> None:
    """Eight seconds after the opening nothing is limited any more."""
    with a_store(database) as store:
        opened(database, store)
        assert len(store.slots(NAME, 3, rate=None, concurrency=1)) == 3
        passes(database, 9.0)
        assert store.slots(NAME, 3, rate=None, concurrency=1) == []


@pytest.mark.parametrize(("rate", "concurrency", "gap"), [(2.0, 8, 0.5), (100.0, 8, 0.125), (None, 8, 0.125)])
def test_the_smaller_rate_counts(database: Database, rate: float | None, concurrency: int, gap: float) -> None:
    """The ramp never makes the rate higher than what is configured, nor the other way round."""
    with a_store(database) as store:
        opened(database, store)
        assert gaps(store.slots(NAME, 4, rate=rate, concurrency=concurrency)) == pytest.approx([gap] * 3, abs=1e-3)


def test_an_operators_pause_ends_in_a_ramp(database: Database) -> None:
    """Its time is over: the fleet does not begin all at once."""
    operate(database, 60.0)
    passes(database, 61.0)
    with a_store(database) as store:
        assert gaps(store.slots(NAME, 3, rate=None, concurrency=4)) == pytest.approx([0.125] * 2, abs=1e-3)
