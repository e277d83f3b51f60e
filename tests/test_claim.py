"""Claim: who gets which message, and what a crash tells about it."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update

from outbox.clock import lease_clock
from outbox.message import Delivered
from outbox.schema import FOREVER, destination, message, utc_after
from outbox.store import Choice, Settled, Store
from outbox.store.claim import claim as claim_in
from outbox.store.engine import write_transaction
from support.databases import Database
from support.rows import LEASE, attempts, claim, expire, look, put


def test_the_longest_due_come_first_and_no_more_than_asked_for(database: Database) -> None:
    """A claim takes the messages that have been due longest, up to its limit."""
    ids = put(database, 10)
    assert [each.id for each in claim(database, 4)] == ids[:4]
    assert [each.id for each in claim(database, 4)] == ids[4:8]
    assert [each.id for each in claim(database, 4)] == ids[8:]


def test_what_was_enqueued_later_may_have_been_due_for_longer(database: Database) -> None:
    """The order of claims is that of due times, whatever the ids say."""
    ids = [put(database, due_at=utc_after(-60.0 * place))[0] for place in range(1, 5)]
    assert [each.id for each in claim(database, 3)] == ids[:0:-1]


def test_a_claim_tells_whether_there_may_be_more(database: Database) -> None:
    """There may be more behind a claim that came to its limit, and nothing behind one that did not."""
    ids = put(database, 6)
    with closing(Store(database.engine)) as store:
        claims = [store.claim("overcentric", Choice.ANY, limit=limit, free=10, lease=LEASE) for limit in (3, 4, 4)]
    assert [[each.id for each in claimed.messages] for claimed in claims] == [ids[:3], ids[3:], []]
    assert [claimed.more for claimed in claims] == [True, False, False]
    assert not any(claimed.suspects or claimed.left for claimed in claims)


@pytest.mark.parametrize("values", [{}, {"due_at": datetime(2026, 1, 31, 12, tzinfo=UTC)}], ids=["due", "due at once"])
def test_a_claim_goes_on_behind_a_place(database: Database, values: dict[str, Any]) -> None:
    """What stands before the place is left, due or not; among messages that are due at one time the id decides."""
    ids = put(database, 5, **values)
    with closing(Store(database.engine)) as store:
        first = store.claim("overcentric", Choice.ANY, limit=2, free=10, lease=LEASE)
        store.settle((), first.messages)
        behind = store.claim("overcentric", Choice.ANY, limit=10, free=10, lease=LEASE, after=first.reached)
    assert [each.id for each in first.messages] == ids[:2]
    assert [each.id for each in behind.messages] == ids[2:]
    assert [each.id for each in claim(database)] == ids[:2]


def test_a_claimed_message_carries_what_sending_needs(database: Database) -> None:
    """What was enqueued comes out of the claim as it went in, with a lease measured from before the claim."""
    (identity,) = put(database, name="plan_changed", body='{"a":"\\u00e9"}', on_unknown="park")
    before = lease_clock()
    (claimed,) = claim(database)
    assert (claimed.id, claimed.name, claimed.body) == (identity, "plan_changed", '{"a":"\\u00e9"}')
    assert (claimed.attempts, claimed.on_unknown, claimed.destination) == (0, "park", "overcentric")
    assert before + LEASE <= claimed.claim.until <= lease_clock() + LEASE


def test_what_is_not_due_is_left(database: Database) -> None:
    """A message that is due later is not claimed."""
    put(database, due_at=utc_after(3600))
    assert claim(database) == []
    (due,) = put(database)
    assert [each.id for each in claim(database)] == [due]


@pytest.mark.parametrize("state", ["delivered", "failed"])
def test_what_is_settled_is_left(database: Database, state: str) -> None:
    """A settled message is not claimed."""
    put(database, state=state, failure_reason="rejected")
    assert claim(database) == []
    (pending,) = put(database)
    assert [each.id for each in claim(database)] == [pending]


def test_another_destinations_messages_are_left(database: Database) -> None:
    """A claim is for one destination."""
    put(database, destination="elsewhere")
    assert claim(database) == []
    (ours,) = put(database)
    assert [each.id for each in claim(database)] == [ours]


def test_messages_with_a_key_are_left(database: Database) -> None:
    """A claim by due time takes no message that has its turn in a key."""
    put(database, ordering_key="a")
    (free,) = put(database)
    put(database, ordering_key="b")
    assert [each.id for each in claim(database)] == [free]


def test_a_leased_message_is_nobody_elses(database: Database) -> None:
    """While a lease runs no second claim gets the message."""
    put(database, 3)
    assert len(claim(database)) == 3
    assert claim(database) == []


def test_an_expired_lease_is_claimable_again_and_counted(database: Database) -> None:
    """A worker that died leaves messages that the next claim takes; they remember the loss and are not charged."""
    (identity,) = put(database)
    (first,) = claim(database)
    expire(database)
    (second,) = claim(database)
    assert second.id == identity
    assert second.claim.token != first.claim.token
    assert (look(database, identity).lost, look(database, identity).attempts) == (1, 0)


def test_a_destination_that_is_paused_is_not_claimed(database: Database) -> None:
    """While a destination is paused its messages wait; afterwards they are claimed."""
    put(database)
    with database.engine.begin() as connection:
        connection.execute(insert(destination).values(name="overcentric", paused_until=FOREVER, cause="operator"))
    assert claim(database) == []
    with database.engine.begin() as connection:
        connection.execute(update(destination).values(paused_until=utc_after(-1)))
    assert len(claim(database)) == 1


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_claim_does_not_wait_for_another_one(database: Database) -> None:
    """While one worker's claim is still open, another worker gets the next messages, at once and no others."""
    ids = put(database, 6)
    with database.engine.connect() as connection, write_transaction(connection).begin():
        first = claim_in(connection, "overcentric", Choice.ANY, limit=3, free=3, lease=LEASE).messages
        second = claim(database, 3)
    assert [each.id for each in first] == ids[:3]
    assert [each.id for each in second] == ids[3:]


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_an_open_claim_locks_nothing_that_others_hold(database: Database) -> None:
    """While a claim is open, or its worker frozen in it, others settle what they hold and take over what has expired."""
    put(database, 4)
    first, *others = claim(database)
    with database.engine.connect() as connection, write_transaction(connection).begin():
        assert claim_in(connection, "overcentric", Choice.ANY, limit=10, free=10, lease=LEASE).messages == []
        with closing(Store(database.engine)) as store:
            assert store.settle([(first, Delivered(200))], []) == Settled([], [])
        expire(database)
        assert [each.id for each in claim(database)] == [each.id for each in others]


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_claim_passes_over_a_row_that_somebody_has_locked(database: Database) -> None:
    """One that is locked costs the claim no place: it takes as many as asked for, from before and behind that one."""
    first, locked, third, fourth, _ = put(database, 5)
    with closing(Store(database.engine)) as store, database.engine.connect() as connection, connection.begin():
        connection.execute(select(message.c.id).where(message.c.id == UUID(locked)).with_for_update())
        claimed = store.claim("overcentric", Choice.ANY, limit=3, free=10, lease=LEASE)
    assert [each.id for each in claimed.messages] == [first, third, fourth]
    assert claimed.more


def _suspect(database: Database, *suspects: str) -> None:
    """Let two workers have been lost with each of these messages."""
    with database.engine.begin() as connection:
        for each in suspects:
            connection.execute(update(message).where(message.c.id == UUID(each)).values(lost=2))


def test_a_suspect_is_left_to_a_worker_with_nothing_else_in_hand(database: Database) -> None:
    """A message that may kill its worker is not claimed among others; they are told that there is one."""
    first, suspect, last = put(database, 3)
    _suspect(database, suspect)
    with closing(Store(database.engine)) as store:
        claimed = store.claim("overcentric", Choice.ANY, limit=10, free=10, lease=LEASE)
    assert [each.id for each in claimed.messages] == [first, last]
    assert claimed.suspects


def test_suspects_are_claimed_one_by_one(database: Database) -> None:
    """A claim for a suspect takes nothing else, even where calm messages have been due for longer."""
    _, suspect, _, other = put(database, 4)
    _suspect(database, suspect, other)
    with closing(Store(database.engine)) as store:
        found = [store.claim("overcentric", Choice.SUSPECT, limit=1, free=10, lease=LEASE) for _ in range(3)]
    assert [[each.id for each in claimed.messages] for claimed in found] == [[suspect], [other], []]
    assert [claimed.suspects for claimed in found] == [True, True, False]


@pytest.mark.parametrize("is_held", [True, False], ids=["expired", "given back"])
def test_a_single_lost_claim_makes_no_suspect(database: Database, *, is_held: bool) -> None:
    """A message that lost one worker, just now or earlier, is claimed among the calm, and nobody is told of suspects."""
    (identity,) = put(database)
    with database.engine.begin() as connection:
        lost = {"claimed_until": utc_after(-1)} if is_held else {"lost": 1}
        connection.execute(update(message).where(message.c.id == UUID(identity)).values(lost))
    assert claim(database, choice=Choice.SUSPECT) == []
    with closing(Store(database.engine)) as store:
        claimed = store.claim("overcentric", Choice.CALM, limit=10, free=10, lease=LEASE)
    assert ([each.id for each in claimed.messages], claimed.suspects) == ([identity], False)


def test_suspects_do_not_stand_before_the_calm(database: Database) -> None:
    """However many suspects are due, a claim for the others reaches those behind them."""
    *suspects, calm = put(database, 6)
    _suspect(database, *suspects)
    assert [each.id for each in claim(database, 3, choice=Choice.CALM)] == [calm]


def test_a_third_lost_claim_fails_the_message(database: Database) -> None:
    """After exactly three workers were lost with a message it is failed, with an attempt that says so; others go on."""
    poison, mate = put(database, 2)
    with database.engine.begin() as connection:
        connection.execute(update(message).where(message.c.id == UUID(mate)).values(due_at=utc_after(3600)))
    for lost in range(3):
        assert [each.id for each in claim(database, 1, choice=Choice.SUSPECT if lost == 2 else Choice.ANY)] == [poison]
        expire(database)
    assert claim(database) == []
    row = look(database, poison)
    assert (row.state, row.failure_reason) == ("failed", "worker_lost")
    assert row.last_error == "its worker was lost three times before it could say what became of it"
    (logged,) = attempts(database, poison)
    assert (logged.certainty, logged.status, logged.tries, logged.duration_ms) == ("unknown", None, 0, 0)
    assert look(database, mate).attempts == 0


def test_a_message_to_be_parked_is_claimed_only_for_a_free_sender(database: Database) -> None:
    """A `park` message never waits in a queue, where a crash would park it for nothing."""
    parked = put(database, 3, on_unknown="park")
    assert claim(database, free=0) == []
    assert [each.id for each in claim(database, free=2)] == parked[:2]


def test_a_claim_tells_of_what_it_left_for_a_free_sender(database: Database) -> None:
    """It has come to the place before the first message that it left, although it took what stands behind that one."""
    first, left, alike, last = put(database, 4)
    with database.engine.begin() as connection:
        parked = message.c.id.in_([UUID(left), UUID(alike)])
        connection.execute(update(message).where(parked).values(on_unknown="park"))
    with closing(Store(database.engine)) as store:
        claims = [store.claim("overcentric", Choice.ANY, limit=10, free=free, lease=LEASE) for free in (0, 0, 2, 1)]
    assert [[each.id for each in claimed.messages] for claimed in claims] == [[first, last], [], [left, alike], []]
    assert [claimed.left for claimed in claims] == [True, True, False, False]
    reached = [claimed.reached and str(claimed.reached.id) for claimed in claims]
    assert reached == [first, None, alike, None]


def test_an_expired_claim_parks_a_message_that_asked_for_it(database: Database) -> None:
    """With `on_unknown="park"` a lost worker leaves doubt, and doubt is not sent again."""
    (identity,) = put(database, on_unknown="park")
    assert len(claim(database)) == 1
    expire(database)
    assert claim(database) == []
    row = look(database, identity)
    assert (row.state, row.failure_reason, row.attempts) == ("failed", "unknown", 1)
    assert row.last_error == "its worker was lost once before it could say what became of it"


def test_what_is_waiting(database: Database) -> None:
    """A draining worker sees what is due, what others hold and whether it is paused; later attempts do not count."""
    put(database, 4)
    put(database, due_at=utc_after(3600))
    claim(database, 1)
    with closing(Store(database.engine)) as store:
        waiting = store.waiting("overcentric")
        assert store.due("overcentric") == 4
        put(database, 2, ordering_key="a")
        assert store.due("overcentric") == 6
        assert store.due("elsewhere") == 0
    assert (waiting.due, waiting.leased, waiting.paused) == (3, 1, False)
