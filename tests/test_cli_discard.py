"""`outbox discard`: what will never be sent is given up, and stands in nobody's way."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from outbox.message import Delivered
from outbox.producer.ids import uuid7
from outbox.schema import utc_after, utc_now
from outbox.store import Choice, Store
from support.commands import Console, add, at_a_terminal, rows
from support.databases import Database
from support.failures import fail_many
from support.rows import LEASE, claim, look, put

only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def heads(store: Store) -> list[str]:
    """Claim what heads there are."""
    claimed, _ = store.claim_heads("overcentric", Choice.ANY, limit=10, free=10, lease=LEASE)
    return [each.id for each in claimed.messages]


def test_a_failed_message_is_given_up(outbox: Console, database: Database) -> None:
    """It stays on record, with its last error and the time at which it failed. A second time changes nothing."""
    added = add(database, state="failed", last_error="503 down", settled_at=utc_after(-60.0))
    (before,) = rows(database)
    for _ in range(2):
        ran = outbox("discard", added)
        assert (ran.code, ran.out, ran.err) == (0, f"{added} is discarded\n", "")
    (after,) = rows(database)
    assert (after.state, after.failure_reason, after.last_error) == ("failed", "discarded", "503 down")
    assert after.settled_at == before.settled_at
    assert [each["id"] for each in outbox("failed", "--failure-reason", "discarded", "--json").json] == [str(added)]


def test_many_are_given_up_by_a_filter(outbox: Console, database: Database) -> None:
    """The count, the change and the record agree; those that were discarded before are done."""
    fail_many(database, {"bad": 700, "worse": 300})
    fail_many(database, {"bad": 5}, failure_reason="discarded")
    ran = outbox("discard", "--error", "bad", "--yes", "--reason", "a test shop")
    assert ran.code == 0
    assert ran.out == ("700 failed messages match\n5 more, discarded before, are left alone\n700 messages discarded\n")
    assert "messages: 700; reason: a test shop" in ran.err
    assert len(outbox("failed", "--failure-reason", "discarded", "--limit", 0, "--json").json) == 705
    assert len(outbox("failed", "--failure-reason", "rejected", "--limit", 0, "--json").json) == 300


def test_a_pending_message_only_where_that_is_asked_for(outbox: Console, database: Database) -> None:
    """Then it is failed, settled now, and claimed by nobody."""
    (added,) = put(database)
    ran = outbox("discard", added)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"outbox: {added} is pending. With --state pending it is discarded before it is sent.\n"
    assert outbox("discard", added, "--state", "pending").out == f"{added} is discarded\n"
    row = look(database, added)
    assert (row.state, row.failure_reason, row.claim_token, row.claimed_until) == ("failed", "discarded", None, None)
    assert row.settled_at is not None
    assert claim(database) == []


def test_what_a_worker_holds_is_left(outbox: Console, database: Database) -> None:
    """By its id and by a filter: exit 1, and the worker settles as if nothing had been. A claim that expired holds nothing."""
    held, expired, free = put(database, 3)
    with closing(Store(database.engine)) as store:
        (message,) = store.claim("overcentric", Choice.ANY, limit=1, free=1, lease=LEASE).messages
        (late,) = store.claim("overcentric", Choice.ANY, limit=1, free=1, lease=-1.0).messages
        assert (message.id, late.id) == (held, expired)
        ran = outbox("discard", held, "--state", "pending")
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith(f"outbox: {held} is held by a worker. ")
        ran = outbox("discard", "--state", "pending", "--all", "--yes")
        assert (ran.code, ran.out) == (1, "3 pending messages match\n2 messages discarded\n")
        assert ran.err.endswith("outbox: 1 message left as found: held by a worker, or changed meanwhile\n")
        assert store.settle([(message, Delivered(200))], ()).lost == []
    states = [(row.state, row.failure_reason) for row in (look(database, each) for each in (held, expired, free))]
    assert states == [("delivered", None), ("failed", "discarded"), ("failed", "discarded")]


def test_what_is_enqueued_later_is_left(outbox: Console, database: Database) -> None:
    """A set of pending messages ends where the command began."""
    (early,) = put(database)
    (late,) = put(database, created_at=utc_after(60.0))
    assert outbox("discard", "--state", "pending", "--all", "--yes").out.startswith("1 pending message matches\n")
    assert (look(database, early).state, look(database, late).state) == ("failed", "pending")


def test_pending_ones_are_found_among_many_others(outbox: Console, database: Database) -> None:
    """However many delivered and failed messages lie between them."""
    fail_many(database, {"bad": 1100})
    fail_many(database, {"good": 1100}, state="delivered", failure_reason=None)
    put(database, 3, name="wrong")
    put(database, 2, name="right")
    ran = outbox("discard", "--state", "pending", "--name", "wrong", "--yes")
    assert (ran.code, ran.out) == (0, "3 pending messages match\n3 messages discarded\n")


def test_a_failed_head_that_is_discarded_blocks_no_longer(outbox: Console, database: Database) -> None:
    """With `block` those behind it go on, in their order."""
    first, second = put(database, 2, ordering_key="a")
    failed: dict[str, Any] = {"state": "failed", "failure_reason": "rejected", "settled_at": utc_now()}
    (blocking,) = put(database, ordering_key="a", created_at=utc_after(-3600.0), **failed)
    with closing(Store(database.engine, blocks=True)) as store:
        assert heads(store) == []
        assert outbox("discard", blocking).code == 0
        assert heads(store) == [first]
    assert look(database, second).claim_token is None


@pytest.mark.parametrize("blocks", [False, True], ids=["pass", "block"])
def test_a_pending_head_that_is_discarded_lets_the_next_go(
    outbox: Console, database: Database, *, blocks: bool
) -> None:
    """Whatever workers do behind a failed one."""
    first, second = put(database, 2, ordering_key="a", due_at=utc_after(-1.0))
    assert outbox("discard", first, "--state", "pending").code == 0
    with closing(Store(database.engine, blocks=blocks)) as store:
        assert heads(store) == [second]


def test_what_cannot_be_given_up(outbox: Console, database: Database) -> None:
    """A delivered one, one that is failed where pending ones are meant, one that is not there: each is said."""
    delivered, failed = add(database, state="delivered", settled_at=utc_now()), add(database, state="failed")
    unknown = uuid7()
    ran = outbox("discard", delivered, failed, unknown, "--state", "pending")
    assert (ran.code, ran.out) == (3, "")
    assert f"{delivered} is delivered. There is nothing to give up." in ran.err
    assert f"{failed} is failed. Without --state pending it is discarded." in ran.err
    assert f"No message has the id {unknown}" in ran.err
    assert {row.failure_reason for row in rows(database)} == {None, "rejected"}


@only_sqlite
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Which messages? Give ids, filters, or --all"),
        (["--state", "pending"], "Which messages? Give ids, filters, or --all"),
        (["--state", "delivered", "--all"], "'delivered' is not one of 'failed', 'pending'"),
        (["--all"], "Nobody can be asked here"),
        (["0199f0c2", "--dry-run"], "--dry-run counts"),
    ],
)
def test_a_mistake_in_the_call(outbox: Console, database: Database, arguments: list[str], words: str) -> None:
    """Exit 2, what is expected, and nothing changed."""
    add(database, state="failed")
    ran = outbox("discard", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert {row.failure_reason for row in rows(database)} == {"rejected"}


@only_sqlite
@pytest.mark.parametrize(("answer", "reason"), [("n", "rejected"), ("y", "discarded")])
def test_a_person_is_asked(database: Database, answer: str, reason: str) -> None:
    """The count comes before the question."""
    add(database, state="failed")
    _, screen = at_a_terminal(answer, "discard", "--all", "--database-url", database.url)
    assert screen.index("1 failed message matches") < screen.index("Discard them? [y/N]")
    assert {row.failure_reason for row in rows(database)} == {reason}
