"""Settle and release: what becomes of a row, and what the fence keeps out."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import StatementError

from outbox.message import Delivered, Failed, FailureReason, Message, Retry
from outbox.schema import message, utc_after
from outbox.store import Settled, Settlement, Store
from outbox.store.settle import _deliver
from outbox.store.statements import lock_held
from outbox.store.writes import UNRECORDABLE
from support.databases import Database
from support.rows import an_attempt, attempts, claim, expire, look, put


def settle(database: Database, *outcomes: Settlement, unsent: tuple[Message, ...] = ()) -> Settled:
    with closing(Store(database.engine)) as store:
        return store.settle(outcomes, unsent)


def test_delivered(database: Database) -> None:
    """A delivered message is settled with the answer's status; nobody holds it, and no earlier error stays."""
    ids = put(database, 3, last_status=500, last_error="HTTP 500")
    result = settle(database, *[(each, Delivered(202)) for each in claim(database)])
    assert result == Settled([], [])
    for identity in ids:
        row = look(database, identity)
        assert (row.state, row.last_status, row.last_error, row.attempts) == ("delivered", 202, None, 0)
        assert row.claimed_until is None
        assert row.settled_at >= row.created_at


def test_a_body_may_be_wiped_with_its_delivery(database: Database) -> None:
    """In the very statement, where that is asked for; what has failed, or is to be sent again, keeps its body."""
    kept, given_up, again = put(database, 3)
    with closing(Store(database.engine, wipes=True)) as store:
        first, second, third = claim(database)
        failed, later = Failed(FailureReason.REJECTED, an_attempt()), Retry(5.0, an_attempt())
        assert store.settle([(first, Delivered(200)), (second, failed), (third, later)], ()) == Settled([], [])
    assert [look(database, each).body for each in (kept, given_up, again)] == ["", "{}", "{}"]
    assert look(database, kept).state == "delivered"
    assert "body" not in str(_deliver(database.engine.dialect.name, wipes=False).compile(database.engine))


def test_to_be_tried_again(database: Database) -> None:
    """A rescheduled message is due after its delay, charged one attempt, and the attempt is on record."""
    (identity,) = put(database)
    (held,) = claim(database)
    settle(database, (held, Retry(90.0, an_attempt(began=held.claim.until - 60, duration=12.3454))))
    row = look(database, identity)
    assert (row.state, row.attempts, row.last_status, row.last_error) == ("pending", 1, 500, "HTTP 500")
    assert row.claimed_until is None
    (logged,) = attempts(database, identity)
    assert timedelta(seconds=88) < row.due_at - logged.started_at < timedelta(seconds=95)
    assert (logged.attempt, logged.tries, logged.duration_ms) == (1, 2, 12345)
    assert (logged.status, logged.certainty, logged.error, logged.response) == (500, "unknown", "HTTP 500", "oops")
    assert claim(database) == []


def test_cut_off_by_our_own_shutdown(database: Database) -> None:
    """An uncharged retry is due at once, and counts neither as an attempt nor as a lost claim."""
    (identity,) = put(database)
    (held,) = claim(database)
    settle(database, (held, Retry(0.0, an_attempt(), charged=False)))
    (again,) = claim(database)
    assert (again.id, again.attempts) == (identity, 0)
    assert look(database, identity).lost == 0


def test_failed(database: Database) -> None:
    """A failed message says why, and its last attempt is charged and on record."""
    (identity,) = put(database, attempts=4)
    (held,) = claim(database)
    settle(database, (held, Failed(FailureReason.EXHAUSTED, an_attempt(status=None, error="connection refused"))))
    row = look(database, identity)
    assert (row.state, row.failure_reason, row.attempts) == ("failed", "exhausted", 5)
    assert (row.last_status, row.last_error) == (None, "connection refused")
    assert row.settled_at is not None
    assert [each.attempt for each in attempts(database, identity)] == [5]


def test_a_settle_forgets_lost_claims(database: Database) -> None:
    """Once a worker has lived to tell what became of a message, it is no suspect any more."""
    (identity,) = put(database)
    claim(database)
    expire(database)
    (held,) = claim(database)
    assert look(database, identity).lost == 1
    settle(database, (held, Retry(0.0, an_attempt())))
    assert look(database, identity).lost == 0


OUTCOMES = [Delivered(200), Retry(5.0, an_attempt()), Failed(FailureReason.REJECTED, an_attempt())]


@pytest.mark.parametrize("late", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
@pytest.mark.parametrize("is_settled", [False, True], ids=["held by another", "settled by another"])
def test_a_late_settle_changes_nothing(database: Database, late: Settlement, *, is_settled: bool) -> None:
    """A worker that outlived its lease learns that it lost it; the row is as the new holder left it."""
    put(database, 2)
    mine, fresh = claim(database)
    expire(database)
    (theirs, _) = claim(database)
    if is_settled:
        settle(database, (theirs, Delivered(200)))
    before = look(database, mine.id)
    result = settle(database, (mine, late))  # type: ignore[arg-type]
    assert [each.id for each, _ in result.lost] == [mine.id]
    assert look(database, mine.id) == before
    assert attempts(database, mine.id) == []
    assert fresh.id != mine.id


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_a_lost_message_does_not_hold_up_its_group(database: Database, outcome: Settlement) -> None:
    """Of two messages of one claim the one that was lost is told, and the other is settled once and for all."""
    put(database, 2)
    mine, other = claim(database)
    with database.engine.begin() as connection:
        expired = update(message).where(message.c.id == UUID(mine.id))
        connection.execute(expired.values(claimed_until=utc_after(-1)))
    assert [each.id for each in claim(database)] == [mine.id]
    result = settle(database, (mine, outcome), (other, outcome))  # type: ignore[arg-type]
    assert ([each.id for each, _ in result.lost], result.locked) == ([mine.id], [])
    assert look(database, other.id).claimed_until is None
    assert look(database, mine.id).claimed_until is not None


@pytest.mark.parametrize("late", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_a_settle_of_what_was_given_up_is_late(database: Database, late: Settlement) -> None:
    """A worker whose message was failed because it seemed lost learns that, and the row stays failed."""
    put(database, on_unknown="park")
    (mine,) = claim(database)
    expire(database)
    assert claim(database) == []
    before = look(database, mine.id)
    result = settle(database, (mine, late))  # type: ignore[arg-type]
    assert [each.id for each, _ in result.lost] == [mine.id]
    assert look(database, mine.id) == before


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_a_settle_may_be_repeated(database: Database, outcome: Settlement) -> None:
    """After a COMMIT whose answer was lost the same settle is written again: it changes nothing and is not called lost."""
    put(database)
    (held,) = claim(database)
    settle(database, (held, outcome))  # type: ignore[arg-type]
    once, logged = look(database, held.id), attempts(database, held.id)
    assert settle(database, (held, outcome)) == Settled([], [])  # type: ignore[arg-type]
    assert look(database, held.id) == once
    assert attempts(database, held.id) == logged


def test_one_group_holds_outcomes_of_every_kind_and_of_several_claims(database: Database) -> None:
    """What has gathered is settled together, each message by its own claim and outcome."""
    put(database, 6)
    first, second = claim(database, 3), claim(database, 3)
    group: list[Settlement] = [
        (first[0], Delivered(200)),
        (first[1], Retry(5.0, an_attempt())),
        (second[0], Delivered(200)),
        (second[1], Delivered(204)),
        (second[2], Failed(FailureReason.REJECTED, an_attempt())),
    ]
    assert settle(database, *group, unsent=(first[2],)) == Settled([], [])
    states = [look(database, each.id).state for each in (*first, *second)]
    assert states == ["delivered", "pending", "pending", "delivered", "delivered", "failed"]


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_a_row_locked_by_another_is_left_for_the_next_group(database: Database, outcome: Settlement) -> None:
    """Somebody's open transaction on one row holds up that row alone."""
    put(database, 2)
    stuck, free = claim(database)
    with database.engine.connect() as connection, connection.begin():
        connection.execute(select(message.c.id).where(message.c.id == UUID(stuck.id)).with_for_update())
        result = settle(database, (stuck, outcome), (free, outcome))  # type: ignore[arg-type]
    assert [each.id for each, _ in result.locked] == [stuck.id]
    assert look(database, free.id).claimed_until is None
    assert settle(database, *result.locked) == Settled([], [])
    assert look(database, stuck.id).claimed_until is None


def test_a_text_that_the_database_refuses_does_not_stop_the_settle(database: Database) -> None:
    """Recording a failure cannot itself fail: where the text cannot be stored, a constant stands for it."""
    (identity,) = put(database)
    (held,) = claim(database)
    settle(database, (held, Retry(5.0, an_attempt(error="a lone surrogate \ud800", response="\udfff"))))
    row = look(database, identity)
    assert (row.attempts, row.last_error) == (1, UNRECORDABLE)
    assert [(each.error, each.response) for each in attempts(database, identity)] == [(UNRECORDABLE, None)]


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_text_that_is_too_long_for_its_column_does_not_stop_the_settle(database: Database) -> None:
    """What the server itself refuses is replaced, too."""
    (identity,) = put(database)
    (held,) = claim(database)
    settle(database, (held, Failed(FailureReason.REJECTED, an_attempt(error="x" * 5000))))
    assert (look(database, identity).state, look(database, identity).last_error) == ("failed", UNRECORDABLE)
    assert [(each.error, each.response) for each in attempts(database, identity)] == [(UNRECORDABLE, None)]


def test_release_charges_nothing(database: Database) -> None:
    """A message given back is claimable at once, without an attempt and without a lost claim."""
    (identity,) = put(database)
    settle(database, unsent=tuple(claim(database)))
    row = look(database, identity)
    assert (row.claim_token, row.claimed_until, row.attempts) == (None, None, 0)
    (again,) = claim(database)
    assert (again.id, look(database, identity).lost) == (identity, 0)


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_release_does_not_wait_for_a_locked_row(database: Database) -> None:
    """Giving back passes over a row that somebody has locked: the others are settled and given back."""
    put(database, 3)
    stuck, free, sent = claim(database)
    with database.engine.connect() as connection, connection.begin():
        connection.execute(select(message.c.id).where(message.c.id == UUID(stuck.id)).with_for_update())
        assert settle(database, (sent, Delivered(200)), unsent=(stuck, free)) == Settled([], [])
    assert look(database, stuck.id).claimed_until is not None
    assert look(database, free.id).claimed_until is None
    assert look(database, sent.id).state == "delivered"


def test_a_late_release_changes_nothing(database: Database) -> None:
    """A worker that outlived its lease cannot give away what another holds."""
    put(database)
    (mine,) = claim(database)
    expire(database)
    (theirs,) = claim(database)
    settle(database, unsent=(mine,))
    assert look(database, theirs.id).claim_token == theirs.claim.token


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
@pytest.mark.parametrize("text", ["x') OR ('1'='1", "0199f0c2-7a5e-7cc3-98c4-dc0c0c07398g", "%s"])
def test_nothing_but_ids_comes_into_a_statement(database: Database, text: str) -> None:
    """MariaDB gets ids as digits in the statement's text: whatever is no hexadecimal digit is refused."""
    with database.engine.connect() as connection, pytest.raises(StatementError, match="Could not render literal value"):
        lock_held(connection, uuid4(), [text])
