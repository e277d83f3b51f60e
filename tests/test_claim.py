"""Claim: who gets which message, and what a crash tells about it."""

from __future__ import annotations

from contextlib import closing

import pytest
from sqlalchemy import insert, update

from outbox.clock import lease_clock
from outbox.schema import FOREVER, destination, message, utc_after
from outbox.store import Store
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


@pytest.mark.parametrize("state", ["delivered", "failed"])
def test_what_is_settled_is_left(database: Database, state: str) -> None:
    """A settled message is not claimed."""
    put(database, state=state, failure_reason="rejected")
    assert claim(database) == []


def test_another_destinations_messages_are_left(database: Database) -> None:
    """A claim is for one destination."""
    put(database, destination="elsewhere")
    assert claim(database) == []


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
        connection.execute(insert(destination).values(name="overcentric", paused_until=FOREVER))
    assert claim(database) == []
    with database.engine.begin() as connection:
        connection.execute(update(destination).values(paused_until=utc_after(-1)))
    assert len(claim(database)) == 1


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_claim_does_not_wait_for_another_one(database: Database) -> None:
    """While one worker's claim is still open, another worker gets the next messages, at once and no others."""
    ids = put(database, 6)
    with database.engine.connect() as connection, write_transaction(connection).begin():
        first = claim_in(connection, "overcentric", limit=3, free=3, alone=False, lease=LEASE).messages
        second = claim(database, 3)
    assert [each.id for each in first] == ids[:3]
    assert [each.id for each in second] == ids[3:]


def test_after_two_lost_claims_a_message_is_claimed_alone(database: Database) -> None:
    """A message that may kill its worker is left to a worker with nothing else in hand, which takes it alone."""
    first, suspect, last = put(database, 3)
    with database.engine.begin() as connection:
        connection.execute(update(message).where(message.c.id == suspect).values(lost=2))
    with closing(Store(database.engine)) as store:
        among_others = store.claim("overcentric", limit=10, free=10, alone=False, lease=LEASE)
        assert [each.id for each in among_others.messages] == [first, last]
        assert among_others.suspects
    assert [each.id for each in claim(database, alone=True)] == [suspect]


def test_a_suspect_goes_before_others_to_an_idle_worker(database: Database) -> None:
    """An idle worker asked for a suspect gets one even where calm messages have been due for longer."""
    _, suspect = put(database, 2)
    with database.engine.begin() as connection:
        connection.execute(update(message).where(message.c.id == suspect).values(lost=2))
    assert [each.id for each in claim(database, alone=True)] == [suspect]


def test_a_third_lost_claim_fails_the_message(database: Database) -> None:
    """After exactly three workers were lost with a message it is failed, with an attempt that says so; others go on."""
    poison, mate = put(database, 2)
    with database.engine.begin() as connection:
        connection.execute(update(message).where(message.c.id == mate).values(due_at=utc_after(3600)))
    for _ in range(3):
        assert [each.id for each in claim(database, alone=True)] == [poison]
        expire(database)
    assert claim(database) == []
    row = look(database, poison)
    assert (row.state, row.failure_reason) == ("failed", "worker_lost")
    assert "its worker was lost three times" in row.last_error
    assert [each.certainty for each in attempts(database, poison)] == ["unknown"]
    assert look(database, mate).attempts == 0


def test_a_message_to_be_parked_is_claimed_only_for_a_free_sender(database: Database) -> None:
    """A `park` message never waits in a queue, where a crash would park it for nothing."""
    parked = put(database, 3, on_unknown="park")
    assert claim(database, free=0) == []
    assert [each.id for each in claim(database, free=2)] == parked[:2]


def test_an_expired_claim_parks_a_message_that_asked_for_it(database: Database) -> None:
    """With `on_unknown="park"` a lost worker leaves doubt, and doubt is not sent again."""
    (identity,) = put(database, on_unknown="park")
    assert len(claim(database)) == 1
    expire(database)
    assert claim(database) == []
    row = look(database, identity)
    assert (row.state, row.failure_reason, row.attempts) == ("failed", "unknown", 1)
    assert "its worker was lost" in row.last_error


def test_what_is_waiting(database: Database) -> None:
    """A draining worker sees what is due, what others hold and whether it is paused; later attempts do not count."""
    put(database, 4)
    put(database, due_at=utc_after(3600))
    claim(database, 1)
    with closing(Store(database.engine)) as store:
        waiting = store.waiting("overcentric")
    assert (waiting.due, waiting.leased, waiting.paused) == (3, 1, False)
