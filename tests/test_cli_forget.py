"""`outbox forget`: a person's data is erased from every row, and nobody else's is touched."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select

from outbox.cli import forget as command
from outbox.message import Delivered, Failed, FailureReason, Retry
from outbox.producer.ids import uuid7
from outbox.schema import attempt, dedup, message, metadata, utc_after, utc_now
from outbox.store import Choice, Settled, Store
from support.commands import Console, add, add_attempt, at_a_terminal, rows
from support.databases import Database
from support.events import body
from support.keeping import add_key, keys
from support.rows import LEASE, an_attempt, claim, expire
from support.waiting import eventually

WHO = "zoë_123"
FORGET = ("forget", "--identity", WHO)


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def told(who: str = WHO, **properties: Any) -> str:
    """The body of an event of somebody's, as `enqueue` writes it."""
    made = body("minimal") | {"identity": {"unique_identifier": who, "email": f"{who}@example.com"}}
    made["event"]["properties"] = properties
    return json.dumps(made)


def in_every_state(database: Database, who: str, **values: Any) -> dict[str, UUID]:
    """A pending, a delivered and a failed message of somebody's, with what attempts may have left."""
    ids = {
        "pending": add(database, body=told(who), ordering_key=who, last_error=f"no {who}", attempts=1, **values),
        "delivered": add(database, body=told(who), state="delivered", settled_at=utc_now(), ordering_key=who),
        "failed": add(database, body=told(who), state="failed", last_error=f"no such user: {who}", ordering_key=who),
    }
    for state, each in ids.items():
        add_attempt(database, each, error=f"HTTP 400 {who}", response=f'{{"unknown": "{who}"}}')
        add_key(database, f"{who}:{state}", each)
    return ids


def everything(database: Database) -> str:
    """All that the database holds, as text."""
    with database.engine.connect() as connection:
        tables = [connection.execute(table.select()).all() for table in metadata.sorted_tables]
    return "\n".join(str(row) for table in tables for row in table)


def by_id(database: Database) -> dict[UUID, Any]:
    return {row.id: row for row in rows(database)}


def test_nothing_of_a_person_is_left(outbox: Console, database: Database) -> None:
    """In no table and in no column; the rows stay and are counted. Somebody else's stay as they are."""
    ids = in_every_state(database, WHO)
    add(database, destination="crm", body=json.dumps({"customer": {"id": WHO}}))
    others = in_every_state(database, "user_9")
    before = {one: row for one, row in by_id(database).items() if one in others.values()}
    ran = outbox(*FORGET, "--yes")
    assert ran.code == 0, ran.err
    counted = "2 pending, 1 delivered, 1 failed; 0 records of attempts at other messages; 3 keys against duplicates"
    assert ran.out == f"erased {counted}\n"
    for spelling in (WHO, json.dumps(WHO)[1:-1]):
        assert spelling not in everything(database)
    found = by_id(database)
    assert {one: row for one, row in found.items() if one in others.values()} == before
    assert keys(database) == {f"user_9:{state}" for state in others}
    assert {found[each].body for each in ids.values()} == {""}
    assert [found[each].failure_reason for each in ids.values()] == ["discarded", None, "discarded"]
    assert [found[each].state for each in ids.values()] == ["failed", "delivered", "failed"]
    assert found[ids["pending"]].settled_at is not None
    with database.engine.connect() as connection:
        records = connection.execute(select(attempt.c.error, attempt.c.response)).all()
    assert sorted(records) == sorted([("erased", None)] * 3 + [("HTTP 400 user_9", '{"unknown": "user_9"}')] * 3)
    assert "0 pending, 0 delivered, 0 failed" in outbox(*FORGET, "--yes").out


def test_one_line_in_the_log(outbox: Console, database: Database) -> None:
    """Who, when, how much, and why; not whom."""
    in_every_state(database, WHO)
    ran = outbox(*FORGET, "--yes", "--reason", "request 4711")
    (line,) = ran.err.splitlines()
    assert " info outbox.audit: " in line
    assert "@" in line
    assert "erased a person's data: 1 pending, 1 delivered, 1 failed; " in line
    assert line.endswith("; reason: request 4711")
    assert WHO not in ran.err
    refused = outbox(*FORGET, "--yes", "--reason", f"{WHO} asked")
    assert (refused.code, WHO in refused.err) == (2, False)


def test_a_dry_run_only_shows(outbox: Console, database: Database) -> None:
    """Ids, states and counts; nothing of what the messages say, and nothing is changed."""
    ids = in_every_state(database, WHO)
    in_every_state(database, "user_9")
    before = everything(database)
    ran = outbox(*FORGET, "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert all(str(each) in ran.out for each in ids.values())
    assert ran.out.count("\n") == 5
    assert "1 pending, 1 delivered, 1 failed; 0 records" in ran.out
    assert WHO not in ran.out
    found = outbox(*FORGET, "--dry-run", "--json").json
    assert {each["id"]: each["state"] for each in found.pop("messages")} == {str(one): s for s, one in ids.items()}
    assert found == {"pending": 1, "delivered": 1, "failed": 1, "records": 0, "dedup_keys": 3}
    assert everything(database) == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_where_nobody_can_be_asked(outbox: Console, database: Database) -> None:
    """A script must say that it means it."""
    add(database, body=told())
    before = everything(database)
    ran = outbox(*FORGET)
    assert (ran.code, ran.out) == (2, "")
    assert "Nobody can be asked here: add --yes, or --dry-run to look" in ran.err
    assert everything(database) == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("y", 0)])
def test_a_person_is_asked(database: Database, answer: str, left: int) -> None:
    """The counts come before the question; no is exit 1."""
    add(database, body=told())
    code, screen = at_a_terminal(answer, *FORGET, "--database-url", database.url)
    assert code == left
    assert "1 pending, 0 delivered, 0 failed" in screen
    assert len([row for row in rows(database) if row.body]) == left


def test_several_names_of_one_person(outbox: Console, database: Database) -> None:
    """The user's id here, the address there."""
    add(database, body=told("user_7"))
    add(database, destination="crm", body=json.dumps({"to": "zoë@example.com"}))
    ran = outbox("forget", "--identity", "user_7", "--identity", "zoë@example.com", "--yes", "--json")
    assert ran.json == {"pending": 2, "delivered": 0, "failed": 0, "records": 0, "dedup_keys": 0, "held": []}


def test_answers_that_name_whoever_they_like(outbox: Console, database: Database) -> None:
    """The words of an attempt at somebody else's message are erased, and the message is sent all the same."""
    other = add(database, body=told("user_9"), last_error=f"HTTP 409 taken by {WHO}")
    plain = add(database, body=told("user_9"), last_error="HTTP 500")
    add_attempt(database, other, error=f"HTTP 409 taken by {WHO}", response=None)
    add_attempt(database, plain, response=f"{WHO}4 and others")
    ran = outbox(*FORGET, "--yes", "--json")
    assert ran.json["records"] == 1
    found = by_id(database)
    assert [(found[each].state, found[each].last_error) for each in (other, plain)] == [
        ("pending", None),
        ("pending", "HTTP 500"),
    ]
    assert [each.name for each in claim(database)] == ["document_exported"] * 2
    assert f"{WHO}4 and others" in everything(database)


def test_keys_of_other_messages_stay(outbox: Console, database: Database) -> None:
    """They keep an event from being sent twice; one whose message is gone, or erased, has done its part."""
    other = add(database, body=told("user_9"))
    mine = add(database, body=told())
    for key, owner in (("7", mine), (f"paid:{WHO}", other), (f"sent:{WHO}", uuid7()), (f"{WHO}4", uuid7())):
        add_key(database, key, owner)
    outbox(*FORGET, "--yes")
    assert keys(database) == {"7", f"paid:{WHO}", f"{WHO}4"}


def test_what_a_worker_holds_is_waited_for(outbox: Console, database: Database) -> None:
    """It has the body in hand: what becomes of it is settled first, and then erased with what was recorded."""
    ids = [add(database, body=told(), due_at=utc_after(-1)) for _ in range(3)]
    first, second, third = claim(database)
    failed = Failed(FailureReason.REJECTED, an_attempt(response=f"no {WHO}"))
    later = Retry(60.0, an_attempt(response=f"no {WHO}"))
    free = add(database, body=told(), state="failed")

    def settle() -> None:
        eventually(lambda: not by_id(database)[free].body)
        with closing(Store(database.engine)) as store:
            store.settle([(first, Delivered(200)), (second, failed), (third, later)], ())

    settling = threading.Thread(target=settle)
    settling.start()
    ran = outbox(*FORGET, "--yes", "--json")
    settling.join()
    assert ran.code == 0, ran.err
    assert ran.json == {"pending": 1, "delivered": 1, "failed": 2, "records": 0, "dedup_keys": 0, "held": []}
    assert WHO not in everything(database)
    assert json.dumps(WHO)[1:-1] not in everything(database)
    assert {row.state for row in rows(database)} == {"delivered", "failed"}
    assert set(by_id(database)) == {*ids, free}


def test_what_a_worker_does_not_let_go(outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 75: it is as it was, the worker can settle it, and the rest is erased."""
    monkeypatch.setattr(command, "WAIT_SECONDS", 0.1)
    one = add(database, body=told(), due_at=utc_after(-1))
    (held,) = claim(database)
    free = add(database, body=told(), state="failed")
    before = by_id(database)[one]
    ran = outbox(*FORGET, "--yes")
    assert ran.code == 75
    assert "outbox: Not erased: 1 that a worker has in hand. Run it again in a minute.\n" in ran.err
    assert by_id(database)[one] == before
    assert not by_id(database)[free].body
    with closing(Store(database.engine)) as store:
        assert store.settle([(held, Delivered(200))], ()) == Settled([], [])
    assert outbox(*FORGET, "--yes").code == 0
    assert not by_id(database)[one].body


def test_a_claim_that_has_expired_settles_nothing_more(outbox: Console, database: Database) -> None:
    """A worker that was frozen comes back: its answer is not recorded over what was erased."""
    one = add(database, body=told(), due_at=utc_after(-1))
    (held,) = claim(database)
    expire(database)
    assert outbox(*FORGET, "--yes").code == 0
    before = by_id(database)[one]
    with closing(Store(database.engine)) as store:
        settled = store.settle([(held, Failed(FailureReason.REJECTED, an_attempt(response=WHO)))], ())
    assert [each.id for each, _ in settled.lost] == [str(one)]
    assert by_id(database)[one] == before
    assert WHO not in everything(database)


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_row_that_is_locked_is_no_reason_to_hang(
    outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim's transaction has it: it counts as held."""
    monkeypatch.setattr(command, "WAIT_SECONDS", 0.1)
    add(database, body=told())
    with database.engine.connect() as other, other.begin():
        other.execute(select(message.c.id).with_for_update())
        assert outbox(*FORGET, "--yes").code == 75
    assert outbox(*FORGET, "--yes").code == 0


def test_what_is_erased_is_not_sent_again(outbox: Console, database: Database) -> None:
    """There is nothing to send: `retry` says so, and `show` does."""
    one = add(database, body=told(), state="failed")
    outbox(*FORGET, "--yes")
    before = rows(database)
    ran = outbox("retry", one)
    assert ran.code == 1
    assert ran.err == f"outbox: {one} has no body any more. `outbox forget` has erased it.\n"
    assert rows(database) == before
    ran = outbox("retry", "--failure-reason", "discarded", "--yes")
    assert "0 messages pending again" in ran.out
    assert rows(database) == before
    assert "\nbody\n  erased by outbox forget\n" in outbox("show", one).out
    found = outbox("show", one, "--json").json
    assert (found["body"], found["body_wiped"]) == (None, True)


def test_those_behind_a_discarded_message_go_on(outbox: Console, database: Database) -> None:
    """Even where a failed message blocks its key: nobody could send this one again."""
    add(database, body=told(), ordering_key="cart 7", due_at=utc_after(-9), created_at=utc_after(-9))
    behind = add(database, body=told("user_9"), ordering_key="cart 7", due_at=utc_after(-8), created_at=utc_after(-8))
    outbox(*FORGET, "--yes")
    with closing(Store(database.engine, blocks=True)) as store:
        claimed, _ = store.claim_heads("overcentric", Choice.ANY, limit=9, free=9, lease=LEASE)
    assert [each.id for each in claimed.messages] == [str(behind)]


def test_a_message_known_by_its_ordering_key_alone(outbox: Console, database: Database) -> None:
    """Its body may have been wiped after delivery, or name the person in another way."""
    add(database, body="", state="delivered", settled_at=utc_now(), ordering_key=WHO)
    add(database, ordering_key=WHO)
    add(database, ordering_key=f"{WHO}4")
    assert outbox(*FORGET, "--yes", "--json").json["pending"] == 1
    assert [row.ordering_key for row in rows(database)] == [None, None, f"{WHO}4"]


def test_a_table_of_several_pages(outbox: Console, database: Database) -> None:
    """Each is found, wherever it stands."""
    ids = sorted(uuid7() for _ in range(2500))
    with database.engine.begin() as connection:
        made = [
            {"id": one, "destination": "overcentric", "name": "n", "body": told(WHO if place % 500 == 0 else "user_9")}
            for place, one in enumerate(ids)
        ]
        connection.execute(insert(message), made)
        records = {"attempt": 1, "started_at": utc_after(-5.0), "duration_ms": 1, "tries": 1, "certainty": "unknown"}
        for place in range(0, 2500, 2):
            row = records | {"message_id": ids[place], "error": "HTTP 500", "response": WHO if place % 3 == 0 else "no"}
            connection.execute(insert(attempt).values(**row))
        connection.execute(
            insert(dedup),
            [
                {"destination": "overcentric", "key": f"{WHO}:{place}", "message_id": ids[place]}
                for place in range(0, 2500, 2)
            ],
        )
    found = outbox(*FORGET, "--yes", "--json").json
    assert found == {"pending": 5, "delivered": 0, "failed": 0, "records": 415, "dedup_keys": 5, "held": []}
    with database.engine.connect() as connection:
        assert connection.execute(select(attempt.c.id).where(attempt.c.response == WHO)).all() == []
    assert len(keys(database)) == 1245
