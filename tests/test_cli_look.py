"""What an operator sees: status, list, failed, show, through the real command line on every database."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, update

from outbox.producer.ids import uuid7
from outbox.schema import FOREVER, destination, message, utc_after, utc_now, worker
from outbox.store import Store
from outbox.store.look import status as status_module
from support.commands import MINIMAL, Console, add, add_attempt
from support.databases import Database

STATUS_FIELDS = [
    "pending", "due", "claimed", "scheduled", "retrying", "delivered", "failed", "discarded", "oldest_due_seconds", "now", "destinations",
    "unconfigured", "troubles", "workers", "last_worker", "errors", "verdict",
]  # fmt: skip
LIST_FIELDS = [
    "id", "destination", "name", "state", "attempts", "created_at", "due_at", "settled_at",
    "failure_reason", "last_status", "last_error",
]  # fmt: skip
ATTEMPT_FIELDS = ["attempt", "started_at", "duration_ms", "tries", "status", "certainty", "error", "response"]


_NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

OPEN = {
    "name": "overcentric", "cause": None, "paused_until": None, "paused_at": None, "paused_by": None, "reason": None,
    "probing": False,
}  # fmt: skip


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def _mixed(database: Database) -> None:
    """Two due (one with an expired claim), one claimed, three scheduled, one keyed and due, one of each end."""
    add(database, due_at=utc_after(-90.0))
    add(database, claim_token=uuid4(), claimed_until=utc_after(-1.0), lost=1)
    add(database, claim_token=uuid4(), claimed_until=utc_after(60.0))
    for delay in (60.0, 3600.0, 86400.0):
        add(database, due_at=utc_after(delay))
    add(database, ordering_key="customer 7", due_at=utc_after(-30.0))
    add(database, state="delivered", settled_at=utc_now())
    add(database, state="failed")


def test_status_of_an_empty_outbox(outbox: Console) -> None:
    """Nothing waits: every count is zero, the one known destination is there, and the verdict says so."""
    ran = outbox("status", "--json")
    assert ran.code == 0
    assert list(ran.json) == STATUS_FIELDS
    assert ran.json == dict.fromkeys(STATUS_FIELDS, 0) | {name: [] for name in STATUS_FIELDS[8:]} | {
        "discarded": 0,
        "oldest_due_seconds": None,
        "destinations": [OPEN],
        "last_worker": None,
        "now": ran.json["now"],
        "verdict": ["All well: nothing is waiting."],
    }
    text = outbox("status").out
    assert text.startswith("All well: nothing is waiting.\nDatabase: ")
    assert text.endswith("\n\nNo worker is running.\n")


def test_status_counts_what_is_due_claimed_and_scheduled(outbox: Console, database: Database) -> None:
    """Pending is the sum of the three; an expired claim is due again, and the oldest due message has an age."""
    _mixed(database)
    found = outbox("status", "--json").json
    assert {name: found[name] for name in STATUS_FIELDS[:7]} == {
        "pending": 7, "due": 3, "claimed": 1, "scheduled": 3, "retrying": 0, "delivered": 1, "failed": 1,
    }  # fmt: skip
    assert 90 <= found["oldest_due_seconds"] < 120
    text = outbox("status").out
    assert text.startswith("1 failed: `outbox failed` lists them.\n3 due, the oldest for 9")


def test_status_tells_of_a_pause_until_it_ends(outbox: Console, database: Database) -> None:
    """A pause shows with who made it and why, an endless one in words, and one that is over by its time not at all."""
    with database.engine.begin() as connection:
        pauses: list[dict[str, Any]] = [
            {
                "name": "overcentric",
                "cause": "failing",
                "paused_until": utc_after(600.0),
                "reason": "503 for all\x1b[2J",
            },
            {
                "name": "endless",
                "cause": "operator",
                "paused_until": FOREVER,
                "reason": "moving",
                "paused_by": "anna@ops",
            },
            {"name": "over", "cause": "operator", "paused_until": utc_after(-1.0), "reason": "long ago"},
            {
                "name": "probed",
                "cause": "refused",
                "paused_until": utc_after(-1.0),
                "paused_at": _NOON,
                "reason": "401",
            },
        ]
        for pause in pauses:
            connection.execute(insert(destination).values(**pause))
    endless, over, paused, probed = outbox("status", "--json").json["destinations"]
    assert endless == {
        "name": "endless", "cause": "operator", "paused_until": "9999-12-31T00:00:00.000000Z", "paused_at": None,
        "paused_by": "anna@ops", "reason": "moving", "probing": False,
    }  # fmt: skip
    assert over == OPEN | {"name": "over"}
    assert (paused["name"], paused["cause"], paused["reason"]) == ("overcentric", "failing", "503 for all\x1b[2J")
    assert (probed["probing"], probed["paused_at"]) == (True, "2026-01-31T12:00:00.000000Z")
    text = outbox("status").out
    assert "endless is paused until resumed by anna@ops: moving." in text
    assert "probed is paused until a probe succeeds: 401." in text
    assert re.search(r"^probed +probing +2026-01-31T12:00:00Z +401$", text, re.MULTILINE)
    assert r"503 for all\x1b[2J" in text
    assert "\x1b" not in text
    assert "All well" not in text


def test_status_tells_of_messages_for_which_nothing_is_configured(outbox: Console, database: Database) -> None:
    """What is due for a destination that these settings do not know is named; what is due later is not."""
    for _ in range(2):
        add(database, destination="crm")
    add(database, destination="crm", ordering_key="k")
    add(database, destination="crm", due_at=utc_after(60.0))
    add(database, destination="crm", state="failed")
    add(database, destination="later", due_at=utc_after(60.0))
    add(database, destination="mail", ordering_key="k")
    assert outbox("status", "--json").json["unconfigured"] == [{"name": "crm", "due": 3}, {"name": "mail", "due": 1}]
    assert "3 due for crm, which is not configured here: set OUTBOX_DESTINATION_CRM_URL" in outbox("status").out


def test_status_tells_what_a_worker_waits_for(outbox: Console, database: Database) -> None:
    """The trouble of a worker that lives; not that of one that has been silent, nor of one that works."""
    with closing(Store(database.engine)) as store:
        store.heartbeat(uuid4(), "calm", 1, "0")
        identity = uuid4()
        store.heartbeat(identity, "shop-1", 4711, "0", "no route to it\0\x1b[2J")
        (found,) = outbox("status", "--json").json["troubles"]
        assert (found["host"], found["pid"], found["trouble"]) == ("shop-1", 4711, "no route to it\x1b[2J")
        text = outbox("status").out
        assert r"The worker on shop-1 (process 4711) waits: no route to it\x1b[2J." in text
        with database.engine.begin() as connection:
            connection.execute(update(worker).values(seen_at=utc_after(-60.0)))
        assert outbox("status", "--json").json["troubles"] == []
        store.heartbeat(identity, "shop-1", 4711, "0", None)
        assert outbox("status", "--json").json["troubles"] == []
        assert outbox("status").out.startswith("All well")


def test_status_of_a_big_table_says_that_it_estimates(
    outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a size, what was delivered is the database's estimate, and the object says so; SQLite always counts."""
    _mixed(database)
    for _ in range(200):
        add(database, state="delivered", settled_at=utc_now())
    analyze = {"postgresql": "ANALYZE outbox_message", "mariadb": "ANALYZE TABLE outbox_message"}.get(database.kind)
    if analyze:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(analyze)
    monkeypatch.setattr(status_module, "EXACT_BELOW", 100)
    found = outbox("status", "--json").json
    assert found.get("delivered_estimated", False) is (database.kind != "sqlite")
    assert 150 <= found["delivered"] <= 250
    assert found["pending"] == 7


def test_status_works_beside_a_writer(outbox: Console, database: Database) -> None:
    """An open transaction that writes keeps no look waiting, and is not seen before it commits."""
    with database.engine.connect() as connection:
        if database.kind == "sqlite":
            connection.execution_options(outbox_write=True)
        with connection.begin() as transaction:
            connection.execute(insert(message).values(id=uuid7(), destination="overcentric", name="x", body=MINIMAL))
            assert outbox("status", "--json").json["pending"] == 0
            assert outbox("list", "--json").json == []
            transaction.rollback()


def test_list_has_the_fields_of_the_contract(outbox: Console, database: Database) -> None:
    """Each message with its fields, in their order, times as RFC 3339 in UTC."""
    added = add(database, state="failed", attempts=3, last_status=422, last_error="422 Unprocessable")
    (found,) = outbox("list", "--json").json
    assert list(found) == LIST_FIELDS
    times = {name: found.pop(name) for name in ("created_at", "due_at", "settled_at")}
    assert found == {
        "id": str(added), "destination": "overcentric", "name": "document_exported", "state": "failed", "attempts": 3,
        "failure_reason": "rejected", "last_status": 422, "last_error": "422 Unprocessable",
    }  # fmt: skip
    assert all(each.endswith("Z") and len(each) == 27 for each in times.values())


def test_list_pages_from_the_newest_on(outbox: Console, database: Database) -> None:
    """Newest first; --after continues behind an id, even one that is gone; 0 is no limit."""
    added = [str(add(database)) for _ in range(7)][::-1]
    first = [each["id"] for each in outbox("list", "--json", "--limit", 3).json]
    rest = [each["id"] for each in outbox("list", "--json", "--after", first[-1]).json]
    assert first + rest == added
    assert [each["id"] for each in outbox("list", "--jsonl", "--limit", 0).jsonl] == added
    with database.engine.begin() as connection:
        connection.execute(message.delete().where(message.c.id == UUID(first[-1])))
    assert [each["id"] for each in outbox("list", "--json", "--after", first[-1]).json] == rest


def test_list_says_how_to_go_on(outbox: Console, database: Database) -> None:
    """The table of a cut list ends with the next step, on standard error; a whole one does not."""
    added = [add(database) for _ in range(3)]
    ran = outbox("list", "--limit", 2)
    assert len(ran.out.splitlines()) == 3
    assert f"--after {added[1]} continues" in ran.err
    assert outbox("list", "--limit", 3).err == ""


def test_list_reads_many_in_pages(outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the pages, each message shows once, up to the limit."""
    monkeypatch.setattr("outbox.store.look.listing.PAGE", 4)
    added = [str(add(database)) for _ in range(10)][::-1]
    for form, read in (("--jsonl", "jsonl"), ("--json", "json")):
        assert [each["id"] for each in getattr(outbox("list", form, "--limit", 0), read)] == added
        assert [each["id"] for each in getattr(outbox("list", form, "--limit", 8), read)] == added[:8]
        assert [each["id"] for each in getattr(outbox("list", form, "--limit", 9), read)] == added[:9]


def test_list_of_nothing(outbox: Console) -> None:
    """No message is an empty array, no line, or a sentence."""
    assert outbox("list", "--json").json == []
    assert outbox("list", "--jsonl").out == ""
    assert outbox("list").out == "No message matches.\n"


def test_failed_is_the_list_of_failed_messages(outbox: Console, database: Database) -> None:
    """`outbox failed` is `outbox list --state failed`, with the reason in the table."""
    _mixed(database)
    (failed,) = outbox("failed", "--json").json
    assert [failed] == outbox("list", "--state", "failed", "--json").json
    text = outbox("failed").out
    assert text.splitlines()[0].split() == ["ID", "STATE", "NAME", "FAILS", "CREATED", "NOTE"]
    assert "rejected, refused" in text


def test_failed_counts_by_cause(outbox: Console, database: Database) -> None:
    """Most frequent first, with the span of time and the newest id of each."""
    for _ in range(3):
        newest = add(database, state="failed", last_status=503, last_error="HTTP 503 down", settled_at=utc_after(-60.0))
    other = add(database, state="failed", last_error="timeout", name="a_name")
    add(database, last_error="HTTP 503 down")
    first, second = outbox("failed", "--by", "error", "--json").json
    assert list(first) == ["error", "count", "first_settled_at", "last_settled_at", "sample_id"]
    assert (first["error"], first["count"], first["sample_id"]) == ("HTTP 503 down", 3, str(newest))
    assert (second["error"], second["count"], second["sample_id"]) == ("timeout", 1, str(other))
    assert first["first_settled_at"] <= first["last_settled_at"] < second["last_settled_at"]
    assert [(each["status"], each["count"]) for each in outbox("failed", "--by", "status", "--jsonl").jsonl] == [
        (503, 3),
        (None, 1),
    ]
    assert [each["name"] for each in outbox("failed", "--by", "name", "--json").json] == ["document_exported", "a_name"]
    assert len(outbox("failed", "--by", "error", "--limit", 1, "--json").json) == 1
    lines = outbox("failed", "--by", "status", "--error", "TIMEOUT").out.splitlines()
    assert len(lines) == 2
    assert lines[1].endswith("none")


def test_a_listing_has_one_form(outbox: Console) -> None:
    """An array and lines at once are a mistake, in either order and also for counts."""
    for command in (("list",), ("failed",), ("failed", "--by", "name")):
        for forms in (("--json", "--jsonl"), ("--jsonl", "--json")):
            ran = outbox(*command, *forms)
            assert (ran.code, ran.out) == (2, "")
            assert "--json and --jsonl exclude each other" in ran.err


def test_failed_takes_no_state(outbox: Console) -> None:
    """`outbox failed --state pending` contradicts itself."""
    assert outbox("failed", "--state", "pending").code == 2
    assert outbox("failed", "--by", "name", "--after", uuid4()).code == 2


def test_show_tells_all_of_a_message(outbox: Console, database: Database) -> None:
    """The list's fields and more, the body as JSON, each attempt in order."""
    added = add(database, state="failed", ordering_key="k", on_unknown="park", lost=1)
    add_attempt(database, added)
    add_attempt(database, added, attempt=2, status=None, certainty="not_sent", error="refused", response=None)
    found = outbox("show", added, "--json").json
    assert list(found) == [
        *LIST_FIELDS, "occurred_at", "ordering_key", "on_unknown", "lost", "claimed_until", "body", "body_wiped",
        "attempts_log",
    ]  # fmt: skip
    assert (found["body"], found["body_wiped"]) == (json.loads(MINIMAL), False)
    assert (found["ordering_key"], found["on_unknown"], found["lost"], found["claimed_until"]) == ("k", "park", 1, None)
    assert [list(each) for each in found["attempts_log"]] == [ATTEMPT_FIELDS] * 2
    first, second = found["attempts_log"]
    assert first.pop("started_at").endswith("Z")
    assert first == {
        "attempt": 1, "duration_ms": 120, "tries": 2, "status": 503, "certainty": "unknown",
        "error": "503 Service Unavailable", "response": "try later",
    }  # fmt: skip
    assert (second["attempt"], second["status"], second["certainty"], second["response"]) == (2, None, "not_sent", None)
    text = outbox("show", added).out
    assert '"invoice_email_sent"' in text
    assert "503 Service Unavailable" in text


def test_show_takes_the_beginning_of_an_id(outbox: Console, database: Database) -> None:
    """Eight digits or more will do while one message begins so; several are named, none is guessed."""
    add(database, id=UUID("0199f0c2-7a5e-7cc3-98c4-dc0c0c07398f"), name="one")
    add(database, id=UUID("0199f0c2-7a5f-7cc3-98c4-dc0c0c07398f"), name="two")
    for text in ("0199f0c2-7a5e", "0199F0C27A5E7", "0199f0c2-7a5e-7cc3-98c4-dc0c0c07398f"):
        assert outbox("show", text, "--json").json["name"] == "one"
    ran = outbox("show", "0199f0c2")
    assert ran.code == 2
    assert "0199f0c2-7a5e-7cc3-98c4-dc0c0c07398f, 0199f0c2-7a5f-7cc3-98c4-dc0c0c07398f" in ran.err
    assert "13 characters, such as 0199f0c2-7a5e, for a millisecond" in ran.err


def test_show_of_an_unknown_id(outbox: Console) -> None:
    """One line, exit 3."""
    unknown = uuid4()
    ran = outbox("show", unknown, "--json")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == f"outbox: No message has the id {unknown}. `outbox list` shows the ids that there are.\n"


@pytest.mark.parametrize(
    "text", ["17", "0199f0", "not-an-id", "0199f0c2-7a5e-7cc3-98c4-dc0c0c07398f00", "' OR 1=1 --", "é" * 32]
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_show_of_what_is_no_id(outbox: Console, text: str) -> None:
    """Exit 2, with what an id looks like."""
    ran = outbox("show", text)
    assert (ran.code, ran.out) == (2, "")
    assert "an id looks like 0199f0c2-7a5e-7cc3-98c4-dc0c0c07398f" in ran.err
    assert "13 characters, such as 0199f0c2-7a5e" in ran.err


def test_a_body_that_is_no_json_is_shown_as_text(outbox: Console, database: Database) -> None:
    """Whatever is stored can be looked at: the object is valid JSON, the screen gets no escape sequence."""
    hostile = 'not {json\x1b[2J\r\n"\u202e'
    for body in (hostile, '{"n": NaN}', '{"n": 1e999}', "[" * 100_000):
        added = add(database, body=body)
        assert outbox("show", added, "--json").json["body"] == body
        assert "\x1b" not in outbox("show", added).out


def test_a_body_keeps_its_letters_on_the_screen(outbox: Console, database: Database) -> None:
    """The stored JSON is ASCII; a person reads what it means."""
    added = add(database, body='{"event":{"name":"Zo\\u00eb \\u001b[2J\\u202e"}}')
    text = outbox("show", added).out
    assert '"name": "Zoë \\u001b[2J\\u202e"' in text
    assert outbox("show", added, "--json").json["body"]["event"]["name"] == "Zoë \x1b[2J\u202e"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_listing_holds_no_lock_between_its_pages(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a reader takes its time over a page, SQLite lets another connection write."""
    from outbox.store.look import Filters, pages

    monkeypatch.setattr("outbox.store.look.listing.PAGE", 1)
    for _ in range(3):
        add(database)
    with database.engine.connect() as connection:
        for _page in pages(connection, Filters()):
            with sqlite3.connect(str(database.engine.url.database), timeout=0) as writer:
                writer.execute("UPDATE outbox_message SET attempts = attempts + 1")
            writer.close()


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_a_later_page_costs_what_the_first_one_did(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """MariaDB reads each failed message once, and not again for each page behind it."""
    from outbox.message import State
    from outbox.store.look import Filters, pages

    monkeypatch.setattr("outbox.store.look.listing.PAGE", 20)
    for _ in range(200):
        add(database, state="failed")
    with database.engine.connect() as connection:
        assert sum(len(page) for page in pages(connection, Filters(state=State.FAILED))) == 200
        with connection.begin():
            found = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'").all()
    assert sum(int(value) for _name, value in found) < 300
