"""`outbox retry`: a failed message is sent again, and nothing else is."""

from __future__ import annotations

import threading
from contextlib import closing
from uuid import uuid4

import pytest

from outbox.message import State
from outbox.producer.ids import uuid7
from outbox.schema import utc_after, utc_now
from outbox.store.retry import Found, retry
from outbox.store.transactions import Transactions
from support.commands import Console, add, add_attempt, rows
from support.databases import Database


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def test_a_failed_message_is_pending_again(outbox: Console, database: Database) -> None:
    """Due now, with a fresh schedule and no claim; its id, its bytes and what is recorded of earlier attempts stay."""
    added = add(
        database, state="failed", attempts=18, lost=2, due_at=utc_after(-3600.0), claim_token=uuid4(),
        claimed_until=None, failure_reason="exhausted", last_status=503, last_error="503 down",
    )  # fmt: skip
    add_attempt(database, added)
    (before,) = rows(database)
    ran = outbox("retry", added)
    assert (ran.code, ran.out, ran.err) == (0, f"{added} is pending again, due now\n", "")
    (after,) = rows(database)
    assert (after.id, after.body, after.name, after.created_at) == (
        before.id,
        before.body,
        before.name,
        before.created_at,
    )
    assert (after.state, after.attempts, after.lost) == ("pending", 0, 0)
    assert (after.claim_token, after.claimed_until, after.settled_at, after.failure_reason) == (None,) * 4
    assert (after.last_status, after.last_error) == (503, "503 down")
    assert after.due_at > before.due_at
    assert outbox("status", "--json").json["due"] == 1
    assert len(outbox("show", added, "--json").json["attempts_log"]) == 1


def test_a_pending_message_is_left_alone(outbox: Console, database: Database) -> None:
    """Exit 1: it is on its way, and a claim on it is not disturbed."""
    added = add(database, attempts=3, claim_token=uuid4(), claimed_until=utc_after(60.0), due_at=utc_after(-9.0))
    before = rows(database)
    ran = outbox("retry", added)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"outbox: {added} is pending already. A worker sends it when it is due.\n"
    assert rows(database) == before


def test_a_delivered_message_is_refused(outbox: Console, database: Database) -> None:
    """Exit 1: sending it again would make a duplicate."""
    added = add(database, state="delivered", settled_at=utc_now())
    before = rows(database)
    ran = outbox("retry", added)
    assert (ran.code, ran.out) == (1, "")
    assert "would make a duplicate" in ran.err
    assert rows(database) == before


def test_of_several_those_that_can_be_are_sent_again(outbox: Console, database: Database) -> None:
    """One line each, in the order given; the exit code is that of the worst; an id given twice counts once."""
    first, second = add(database, state="failed"), add(database, state="failed")
    pending, unknown = add(database), uuid7()
    ran = outbox("retry", second, pending, first, second)
    assert ran.code == 1
    assert [line.split()[0] for line in ran.out.splitlines()] == [str(second), str(first)]
    ran = outbox("retry", unknown, pending)
    assert ran.code == 3
    assert len(ran.err.splitlines()) == 2
    assert {row.state for row in rows(database)} == {"pending"}


def test_an_ambiguous_beginning_changes_nothing(outbox: Console, database: Database) -> None:
    """Exit 2 before anything is written, also for the ids that were clear."""
    first, second = add(database, state="failed"), add(database, state="failed")
    assert str(first)[:8] == str(second)[:8]
    assert outbox("retry", first, str(first)[:8]).code == 2
    assert {row.state for row in rows(database)} == {"failed"}
    assert outbox("retry", "nonsense").code == 2
    assert outbox("retry").code == 2


def test_the_store_tells_what_it_found(database: Database) -> None:
    """Of each id the state that it was in, and nothing of one that it does not know."""
    failed, pending, unknown = add(database, state="failed"), add(database), uuid7()
    with closing(Transactions(database.engine)) as transactions:
        found = transactions.run(retry, [unknown, pending, failed])
    assert found == {failed: State.FAILED, pending: State.PENDING, unknown: None}


def test_of_two_operators_one_wins(database: Database) -> None:
    """The comparison is part of the update: one finds it failed, the other finds it pending."""
    for _ in range(20):
        added = add(database, state="failed")
        barrier = threading.Barrier(2)
        found: list[Found] = []

        def race(added: object = added, barrier: threading.Barrier = barrier, found: list[Found] = found) -> None:
            transactions = Transactions(database.engine)
            barrier.wait()
            found.append(transactions.run(retry, [added])[added])  # type: ignore[list-item,index]
            transactions.close()

        threads = [threading.Thread(target=race) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(str(each) for each in found) == ["failed", "pending"]
