"""Pauses that workers make: how long they last, who is first, and what they keep from being sent."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from outbox.message import Cause, Delivered
from outbox.store import Choice, Gate
from outbox.store.pauses import resume
from outbox.store.transactions import Transactions
from support.databases import Database
from support.pauses import NAME, a_store, fail, operate, passes, row, wish
from support.rows import LEASE, claim, put


def test_a_destination_without_a_row_is_open(database: Database) -> None:
    """What has never been paused is open, and a look at it writes nothing."""
    with a_store(database) as store:
        assert store.gates([NAME, "crm"]) == {NAME: Gate(NAME), "crm": Gate("crm")}
        assert store.gates([]) == {}
    assert Gate(NAME).opened == math.inf


def test_a_pause_tells_who_and_why_and_for_how_long(database: Database) -> None:
    """Every worker sees the pause that one has made."""
    with a_store(database) as store:
        made = fail(store, failing_for=7.0)
        (seen,) = store.gates([NAME]).values()
    assert (seen.cause, seen.reason, seen.by) == (Cause.FAILING, "HTTP 500", "worker 1")
    assert 0.8 * 2.0 - 0.5 < seen.remaining <= made.remaining <= 1.2 * 2.0
    found = row(database)
    assert found.paused_at - found.failing_since == pytest.approx(timedelta(seconds=7.0), abs=timedelta(seconds=0.1))


@pytest.mark.parametrize("seconds", [0.0, 90.0], ids=["running", "over"])
def test_nothing_is_claimed_until_a_probe_has_succeeded(database: Database, seconds: float) -> None:
    """No message, no head and no successor, while the pause's time runs and afterwards; a count goes on."""
    put(database, ordering_key="k")
    with a_store(database) as store:
        (head,) = store.claim_heads(NAME, Choice.ANY, limit=9, free=9, lease=LEASE)[0].messages
        put(database, 2)
        put(database, ordering_key="k")
        fail(store, first=30.0)
        passes(database, seconds)
        assert claim(database) == []
        assert store.claim_heads(NAME, Choice.ANY, limit=9, free=9, lease=LEASE)[0].messages == ()
        assert store.settle([(head, Delivered(200))], (), store.succession(LEASE)).successors == []
        waiting = store.waiting(NAME)
        assert (waiting.due, waiting.leased, waiting.paused) == (3, 0, True)
        (gate,) = store.gates([NAME]).values()
        assert (gate.cause, gate.remaining > 0) == (Cause.FAILING, seconds == 0)


def test_an_operators_pause_ends_by_its_time(database: Database) -> None:
    """Afterwards messages are claimed without a probe, and the gate says since when it has been open."""
    put(database)
    assert operate(database, 600.0).remaining == pytest.approx(600.0, abs=1.0)
    assert claim(database) == []
    passes(database, 605.0)
    with a_store(database) as store:
        (gate,) = store.gates([NAME]).values()
        assert (gate.cause, gate.reason, gate.by) == (None, None, None)
        assert gate.opened == pytest.approx(5.0, abs=1.0)
        assert not store.waiting(NAME).paused
    assert len(claim(database)) == 1


def test_an_operators_pause_without_a_time_ends_by_resume_only(database: Database) -> None:
    """It lasts for ever; resuming says what it ended, and from then on the destination is open."""
    assert operate(database).remaining == math.inf
    passes(database, 1e6)
    transactions = Transactions(database.engine)
    ended = transactions.run(resume, NAME).gate()
    assert (ended.cause, ended.reason, ended.by) == (Cause.OPERATOR, "maintenance", "anna@ops")
    assert transactions.run(resume, NAME).cause is None
    transactions.close()
    with a_store(database) as store:
        (gate,) = store.gates([NAME]).values()
    assert gate.cause is None
    assert 0 <= gate.opened < 5


def test_pauses_double_up_to_the_longest(database: Database) -> None:
    """Each pause of one outage is twice as long as the one before, give or take a fifth, and never above the longest."""
    put(database)
    with a_store(database) as store:
        lengths = [fail(store, first=2.0, longest=30.0).remaining]
        for _ in range(7):
            passes(database, 40.0)
            probe = store.probe(NAME, turn=9.0, lease=LEASE)
            assert probe is not None
            store.settle((), [probe.message])
            again = store.pause_again(
                NAME, probe.token, Cause.FAILING, "HTTP 502", "worker 2", seconds=None, first=2.0, longest=30.0
            )
            lengths.append(again.remaining)
    for length, doubled in zip(lengths, (2, 4, 8, 16, 30, 30, 30, 30), strict=True):
        assert 0.8 * doubled - 0.3 < length <= min(1.2 * doubled, 30.0)
    assert len(set(lengths[4:])) == 4, "the longest ones have jitter, too"
    assert row(database).pauses == 8


@pytest.mark.parametrize(("open_for", "expected"), [(20.0, 4.0), (70.0, 2.0)])
def test_doubling_starts_anew_after_a_minute(database: Database, open_for: float, expected: float) -> None:
    """A destination that fails again soon is paused for longer; one that has worked for a minute begins at the start."""
    put(database)
    with a_store(database) as store:
        fail(store)
        passes(database, 10.0)
        probe = store.probe(NAME, turn=9.0, lease=LEASE)
        assert probe is not None
        assert store.reopen(NAME, probe.token)
        passes(database, open_for)
        gate = fail(store)
    assert 0.8 * expected - 0.3 < gate.remaining <= 1.2 * expected


@pytest.mark.parametrize("over", [False, True], ids=["running", "over"])
def test_workers_that_see_one_outage_make_one_pause(database: Database, over: bool) -> None:  # noqa: FBT001 - a case
    """Late failures of messages that were in flight change nothing, whether the pause's time runs or is over."""
    with a_store(database) as store:
        fail(store, by="worker 1", first=30.0)
        passes(database, 90.0 if over else 0.5)
        before = row(database)
        for worker in range(2, 5):
            assert fail(store, by=f"worker {worker}").by == "worker 1"
        refused = store.pause(NAME, Cause.REFUSED, "HTTP 401", "worker 5", seconds=None, first=9.0, longest=60.0)
        assert (refused.cause, refused.remaining > 0) == (Cause.FAILING, not over)
    assert row(database) == before


def test_the_destinations_wish_is_kept_and_a_little_more(database: Database) -> None:
    """`Retry-After` is the least; up to a tenth is added, and no doubling is counted."""
    with a_store(database) as store:
        assert 5.0 - 0.5 < wish(store, 5.0).remaining <= 5.5
    assert (row(database).pauses, row(database).cause) == (0, "retry_after")


def test_only_a_longer_wish_counts(database: Database) -> None:
    """It extends a pause of the workers' that is shorter, and never shortens one."""
    with a_store(database) as store:
        wish(store, 100.0)
        before = row(database)
        assert wish(store, 50.0, by="worker 2").by == "worker 1"
        fail(store, by="worker 2", first=500.0, longest=500.0)
        assert row(database) == before
        extended = wish(store, 200.0, by="worker 3")
        assert (extended.by, extended.remaining > 199.0) == ("worker 3", True)
        assert (row(database).paused_at, row(database).failing_since) == (before.paused_at, before.failing_since)


def test_a_wish_ends_a_probes_turn(database: Database) -> None:
    """What the destination asks for while it is probed holds, though the probe succeeds."""
    put(database)
    with a_store(database) as store:
        fail(store)
        passes(database, 10.0)
        probe = store.probe(NAME, turn=9.0, lease=LEASE)
        assert probe is not None
        wish(store, 5.0)
        assert not store.reopen(NAME, probe.token)
        assert store.gates([NAME])[NAME].cause is Cause.RETRY_AFTER


def test_workers_leave_an_operators_pause_alone(database: Database) -> None:
    """Neither a failure nor a wish changes it while it is in force; afterwards they pause as ever."""
    with a_store(database) as store:
        operate(database, 30.0)
        before = row(database)
        assert fail(store).cause is Cause.OPERATOR
        assert wish(store, 3600.0).cause is Cause.OPERATOR
        assert row(database) == before
        passes(database, 31.0)
        assert fail(store).cause is Cause.FAILING


def test_an_operators_pause_takes_the_place_of_any_other(database: Database) -> None:
    """It ends a probe's turn, too: what the prober learns changes nothing."""
    put(database)
    with a_store(database) as store:
        fail(store)
        passes(database, 10.0)
        probe = store.probe(NAME, turn=9.0, lease=LEASE)
        assert probe is not None
        operate(database)
        assert not store.reopen(NAME, probe.token)
        assert store.gates([NAME])[NAME].by == "anna@ops"


def test_hostile_words_are_recorded(database: Database) -> None:
    """NUL, lone surrogates and great length keep nobody from pausing."""
    with a_store(database) as store:
        gate = store.pause(NAME, Cause.REFUSED, "a\0\ud800🛒" * 999, "b" * 999, seconds=1.0, first=1.0, longest=1.0)
    assert gate.reason is not None
    assert gate.reason.startswith("a?🛒a?🛒")
    assert (len(gate.reason), gate.by) == (500, "b" * 255)
