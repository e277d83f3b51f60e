"""Probes: whose turn it is, with which message, and what it ends in."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from outbox.message import Cause, Failed, FailureReason, Retry
from outbox.schema import destination, message, utc_after
from outbox.store import Probe, Store
from support.databases import Database
from support.pauses import NAME, TIMES, a_store, fail, operate, passes, row
from support.rows import LEASE, an_attempt, attempts, claim, look, put

TURN = 9.0


def ask(store: Store) -> Probe | None:
    """Ask for the turn."""
    return store.probe(NAME, turn=TURN, lease=LEASE)


def have(store: Store) -> Probe:
    """Ask for the turn, and get it."""
    probe = ask(store)
    assert probe is not None
    return probe


def draw_500(database: Database, store: Store, probe: Probe) -> None:
    """Let a probe fail, as a worker settles it, and the pause that follows go by."""
    outcome = Retry(-60.0, an_attempt(), charged=probe.charged)
    store.settle([(probe.message, outcome)], ())
    store.pause_again(NAME, probe.token, Cause.FAILING, "HTTP 500", "worker", seconds=None, **TIMES)
    passes(database, 100.0)


def outage(database: Database, store: Store) -> None:
    """Let the destination be paused, and the pause's time be over."""
    fail(store)
    passes(database, 10.0)


def test_one_has_the_turn(database: Database) -> None:
    """While one worker probes no other does, though there is more that is due."""
    ids = put(database, 3)
    with a_store(database) as store:
        outage(database, store)
        probe = have(store)
        assert ask(store) is None
    assert (probe.message.id, probe.charged) == (ids[0], True)
    assert look(database, ids[0]).claim_token == probe.message.claim.token
    assert look(database, ids[1]).claim_token is None


def test_no_probe_while_the_pauses_time_runs(database: Database) -> None:
    """Neither during a worker's pause nor during an operator's."""
    put(database)
    with a_store(database) as store:
        fail(store, first=30.0)
        assert ask(store) is None
        operate(database)
        assert ask(store) is None


def test_a_dead_prober_loses_its_turn_by_time(database: Database) -> None:
    """Another one takes it over, and what the first one says in the end changes nothing."""
    ids = put(database, 2)
    with a_store(database) as store:
        outage(database, store)
        dead = have(store)
        passes(database, TURN + 1.0)
        alive = have(store)
        assert (dead.message.id, alive.message.id) == (ids[0], ids[1])
        before = row(database)
        assert not store.reopen(NAME, dead.token)
        store.pause_again(NAME, dead.token, Cause.FAILING, "HTTP 500", "dead", seconds=None, **TIMES)
        store.end_turn(NAME, dead.token)
        assert row(database) == before
        assert store.reopen(NAME, alive.token)


def test_nothing_due_takes_no_turn(database: Database) -> None:
    """What is due later and what others hold is no message for a probe; no row is written for it."""
    put(database, due_at=utc_after(60.0))
    put(database, destination="elsewhere")
    put(database)
    claim(database)
    with a_store(database) as store:
        assert ask(store) is None
        with database.engine.connect() as connection:
            assert connection.execute(select(func.count()).select_from(destination)).scalar() == 0
        outage(database, store)
        assert ask(store) is None
        assert row(database).probe_token is None


def test_success_opens_the_destination(database: Database) -> None:
    """Claims find messages again; nothing of the outage is left but the count of its pauses."""
    put(database, 2)
    with a_store(database) as store:
        outage(database, store)
        probe = have(store)
        assert store.reopen(NAME, probe.token)
        assert not store.reopen(NAME, probe.token)
        gate = store.gates([NAME])[NAME]
    assert (gate.cause, gate.reason, gate.by) == (None, None, None)
    assert 0 <= gate.opened < 5
    assert len(claim(database)) == 1
    found = row(database)
    assert (found.failing_since, found.paused_at, found.probe_token, found.pauses) == (None, None, None, 1)


def test_failure_pauses_anew(database: Database) -> None:
    """The pause is twice as long, and the outage is the same one."""
    put(database)
    with a_store(database) as store:
        outage(database, store)
        before = row(database)
        probe = have(store)
        gate = store.pause_again(NAME, probe.token, Cause.REFUSED, "HTTP 404", "worker 2", seconds=None, **TIMES)
        assert (gate.cause, gate.reason, gate.by) == (Cause.REFUSED, "HTTP 404", "worker 2")
        assert 0.8 * 4 - 0.3 < gate.remaining <= 1.2 * 4
        after = row(database)
        assert (after.paused_at, after.failing_since) == (before.paused_at, before.failing_since)
        assert ask(store) is None


def test_a_probe_that_is_asked_to_wait_waits(database: Database) -> None:
    """`Retry-After` on a probe's answer is the length of the next pause."""
    put(database)
    with a_store(database) as store:
        outage(database, store)
        probe = have(store)
        gate = store.pause_again(NAME, probe.token, Cause.RETRY_AFTER, "HTTP 503", "worker", seconds=40.0, **TIMES)
    assert 39.5 < gate.remaining <= 44.0
    assert row(database).pauses == 1


def test_a_turn_that_taught_nothing_is_given_back(database: Database) -> None:
    """The next probe may begin at once."""
    put(database, 2)
    with a_store(database) as store:
        outage(database, store)
        store.end_turn(NAME, have(store).token)
        assert ask(store) is not None


def test_one_bad_message_does_not_hold_the_destination_down(database: Database) -> None:
    """The next probe takes a message that was not tried in this outage; each is charged once at most."""
    ids = put(database, 3)
    with a_store(database) as store:
        outage(database, store)
        seen = []
        for _ in range(7):
            probe = have(store)
            seen.append((ids.index(probe.message.id), probe.charged))
            draw_500(database, store, probe)
    assert seen[:3] == [(0, True), (1, True), (2, True)]
    assert sorted(seen[3:6]) == [(0, False), (1, False), (2, False)]
    assert [look(database, each).attempts for each in ids] == [1, 1, 1]
    assert sum(len(attempts(database, each)) for each in ids) == 7


def test_an_attempt_before_the_outage_does_not_count(database: Database) -> None:
    """Such a message is charged, after those with fewer attempts; one that failed as the outage began is not."""
    with a_store(database) as store:
        (old,) = tried(database, store)
        passes(database, 600.0)
        (first,) = tried(database, store)
        (new,) = put(database)
        fail(store, failing_for=5.0)
        passes(database, 10.0)
        order = []
        for _ in range(3):
            probe = have(store)
            order.append((probe.message.id, probe.charged))
            draw_500(database, store, probe)
    assert order == [(new, True), (old, True), (first, False)]


def tried(database: Database, store: Store) -> list[str]:
    """Put a message in that fails at once, and is due again."""
    ids = put(database)
    mine = [each for each in claim(database) if each.id in ids]
    store.settle([(each, Retry(-60.0, an_attempt())) for each in mine], ())
    with database.engine.begin() as connection:
        connection.execute(update(message).values(claim_token=None, claimed_until=None))
    return ids


def test_a_probe_looks_at_the_longest_due_only(database: Database) -> None:
    """Among more than fifty that are due it takes one of the first fifty, though all of these were tried before."""
    ids = put(database, 51, attempts=3)
    with database.engine.begin() as connection:
        connection.execute(update(message).where(message.c.id == UUID(ids[50])).values(attempts=0))
        connection.execute(update(message).where(message.c.id == UUID(ids[49])).values(attempts=2))
    with a_store(database) as store:
        outage(database, store)
        assert have(store).message.id == ids[49]


def test_heads_of_keys_are_probed_with_where_nothing_else_is_due(database: Database) -> None:
    """However many keys stand before the one that is due; messages behind a head are not taken."""
    for place in range(230):
        put(database, ordering_key=f"key {place:03}", due_at=utc_after(60.0))
    (head,) = put(database, ordering_key="key 999")
    put(database, ordering_key="key 999")
    with a_store(database) as store:
        outage(database, store)
        probe = have(store)
        assert (probe.message.id, probe.message.keyed, probe.charged) == (head, True, True)
        draw_500(database, store, probe)
        again = have(store)
        assert (again.message.id, again.charged) == (head, False)


def test_a_blocked_head_is_not_probed_with(database: Database) -> None:
    """Where a failed message holds up those behind it, none of them is sent as a probe."""
    put(database, ordering_key="k", state="failed", failure_reason="rejected")
    (head,) = put(database, ordering_key="k")
    with a_store(database, blocks=True) as store:
        assert ask(store) is None
    with a_store(database) as store:
        assert have(store).message.id == head


def test_suspects_come_last(database: Database) -> None:
    """A message that may kill its worker is probed with only where nothing else is due."""
    (suspect,) = put(database, lost=2)
    (calm,) = put(database, ordering_key="k")
    with a_store(database) as store:
        outage(database, store)
        probe = have(store)
        assert probe.message.id == calm
        store.settle([(probe.message, Failed(FailureReason.REJECTED, an_attempt()))], ())
        store.end_turn(NAME, probe.token)
        assert have(store).message.id == suspect


def test_a_parked_one_whose_worker_died_is_given_up(database: Database) -> None:
    """Nobody can say whether it was sent: it is not sent again as a probe."""
    lost, other = put(database, on_unknown="park")[0], put(database, on_unknown="park")[0]
    with database.engine.begin() as connection:
        values = {"on_unknown": "park", "claim_token": uuid4(), "claimed_until": utc_after(-1.0)}
        connection.execute(update(message).where(message.c.id == UUID(lost)).values(values))
    with a_store(database) as store:
        outage(database, store)
        assert have(store).message.id == other
    assert (look(database, lost).state, look(database, lost).failure_reason) == ("failed", "unknown")


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_locked_message_is_passed_over(database: Database) -> None:
    """A probe waits for nobody's lock; where all are locked the turn is given back."""
    ids = put(database, 2)
    with a_store(database) as store, database.engine.connect() as other:
        outage(database, store)
        with other.begin():
            locked = select(message.c.id).where(message.c.id.in_(map(UUID, ids))).with_for_update()
            other.execute(locked).all()
            assert ask(store) is None
            assert row(database).probe_token is None
        with other.begin():
            other.execute(select(message.c.id).where(message.c.id == UUID(ids[0])).with_for_update()).all()
            assert have(store).message.id == ids[1]


def test_a_process_of_its_own_trouble_probes_what_is_open(database: Database) -> None:
    """One turn for all; success leaves the destination as it is, without a ramp; failure is a pause of all."""
    put(database, 2)
    with a_store(database) as store:
        probe = have(store)
        assert (probe.charged, ask(store)) == (True, None)
        assert store.reopen(NAME, probe.token)
        assert store.slots(NAME, 3, rate=None, concurrency=1) == []
        assert (row(database).probe_token, row(database).paused_until) == (None, None)
        store.settle((), [probe.message])
        probe = have(store)
        store.settle([(probe.message, Retry(-60.0, an_attempt(), charged=probe.charged))], ())
        gate = store.pause_again(NAME, probe.token, Cause.FAILING, "HTTP 500", "worker", seconds=None, **TIMES)
        assert (gate.cause, gate.remaining <= 2.4) == (Cause.FAILING, True)
        passes(database, 10.0)
        second = have(store)
        assert second.message.id != probe.message.id
        draw_500(database, store, second)
        assert have(store).charged is False


def test_a_probe_of_what_an_operators_pause_has_left_leaves_it_open(database: Database) -> None:
    """A pause that is over by its time stays over, and its end is the last opening."""
    put(database)
    operate(database, 10.0)
    passes(database, 100.0)
    with a_store(database) as store:
        probe = have(store)
        assert store.reopen(NAME, probe.token)
        gate = store.gates([NAME])[NAME]
    assert gate.cause is None
    assert gate.opened == pytest.approx(90.0, abs=2.0)
