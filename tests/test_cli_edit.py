"""`outbox edit`: failed messages are sent with other bodies, under ids of their own."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

import outbox as library
from outbox.producer.ids import uuid7
from outbox.schema import message, utc_after, utc_now
from outbox.store import Choice, Store
from outbox.testing import ThreadedFakeServer
from support.commands import Console, add, at_a_terminal, rows
from support.databases import Database
from support.events import body
from support.failures import BODY, fail_many
from support.rows import LEASE, look, put
from support.workers import drain

only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def fail(database: Database, **values: Any) -> UUID:
    """Add a failed message."""
    return add(database, state="failed", body=BODY, **values)


def the_new(database: Database) -> Any:
    """The only pending message."""
    (found,) = [row for row in rows(database) if row.state == "pending"]
    return found


def test_a_new_message_takes_the_place_of_the_old(outbox: Console, database: Database) -> None:
    """New id, new bytes, due now; where, when, how and in which order it was to be sent stay. The old one names it."""
    kept = {"on_unknown": "park", "ordering_key": "order-1", "created_at": utc_after(-3600.0)}
    kept |= {"occurred_at": utc_after(-7200.0)}
    old = fail(database, name="$subscription_purchase", attempts=3, lost=1, last_status=400, **kept)
    (before,) = rows(database)
    ran = outbox("edit", old, "--set", "properties.plan=pro", "--set", "properties.amount=30", "--unset", "identity")
    assert ran.code == 0, ran.err
    after, new = look(database, str(old)), the_new(database)
    assert ran.out == f"{old} is replaced by {new.id}, which is pending, due now\n"
    assert json.loads(new.body) == {
        "event": body("stripe_webhook")["event"] | {"properties": {"plan": "pro", "amount": 30}}
    }
    assert new.body == json.dumps(json.loads(new.body), separators=(",", ":"))
    same = ("destination", "name", "on_unknown", "ordering_key", "created_at", "occurred_at")
    assert [getattr(new, each) for each in same] == [getattr(before, each) for each in same]
    assert (new.attempts, new.lost, new.claim_token, new.last_error, new.failure_reason) == (0, 0, None, None, None)
    assert before.due_at <= new.due_at
    assert (after.state, after.failure_reason, after.body) == ("failed", "discarded", before.body)
    assert (after.last_error, after.settled_at) == (f"edited: replaced by {new.id}", before.settled_at)
    ran = outbox("edit", old, "--set", "properties.plan=pro")
    assert (ran.code, ran.out) == (1, "")
    assert f"{old} is discarded" in ran.err


def test_a_wrong_project_is_repaired_everywhere(
    outbox: Console, database: Database, destination: ThreadedFakeServer, settings: dict[str, str]
) -> None:
    """By one command for all, with identities and without: what arrives is right, and carries keys of its own."""
    old = fail_many(database, {"no such project": 60})["no such project"]
    bare = json.dumps({"event": body("stripe_webhook")["event"]})
    old += fail_many(database, {"no such project": 60}, body=bare)["no such project"]
    ran = outbox("edit", "--error", "no such project", "--set", "project_id=shop-2", "--yes", "--reason", "a typo")
    assert (ran.code, ran.out) == (0, "120 failed messages match\n120 messages replaced by edited ones, due now\n")
    assert "outbox edit --set 'project_id=…' --error 'no such project' --failed-before" in ran.err
    assert "shop-2" not in ran.err
    drain(settings)
    assert destination.count == 120
    assert not {str(each) for each in old} & set(destination.keys)
    for each in destination.received:
        assert each.json["event"]["project_id"] == "shop-2"
        assert each.json.get("identity", {}).get("project_id", "shop-2") == "shop-2"
    again = outbox("edit", "--error", "replaced by", "--set", "project_id=shop-3", "--yes")
    assert again.out == "0 failed messages match\n120 more, discarded before, are left alone\n"


def test_a_dry_run_shows_what_would_differ(outbox: Console, database: Database) -> None:
    """The counts, and of one message the fields that differ, but no other: a body is personal data."""
    fail_many(database, {"bad": 2})
    before = rows(database)
    ran = outbox(
        "edit", "--error", "bad", "--set", "properties.plan=pro", "--set", "properties.new=\x1b[2J", "--dry-run"
    )
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "2 failed messages match",
        "2 messages would be replaced",
        f"such as {before[0].id}:",
        '  - event.properties.plan: "price_1PREMIUM"',
        '  + event.properties.plan: "pro"',
        '  + event.properties.new: "\\u001b[2J"',
    ]
    assert outbox("edit", before[1].id, "--unset", "properties.plan", "--dry-run").out.splitlines() == [
        "1 message would be replaced",
        f"such as {before[1].id}:",
        '  - event.properties.plan: "price_1PREMIUM"',
    ]
    assert rows(database) == before


def test_what_can_never_be_sent_is_refused(outbox: Console, database: Database) -> None:
    """Exit 65, the reason without a value, and nothing written of it; the others are replaced."""
    good = fail_many(database, {"bad": 1})["bad"][0]
    wrong = fail_many(database, {"bad": 1}, body=json.dumps({"event": {"name": "x", "properties": 5}}))["bad"][0]
    torn = fail_many(database, {"bad": 1}, body="no JSON")["bad"][0]
    for arguments in (["--dry-run"], ["--yes"]):
        ran = outbox("edit", "--error", "bad", "--set", "properties.plan=pro", *arguments)
        assert ran.code == 65
        assert f"{wrong}: event.properties is no object: it has no field plan\n" in ran.err
        assert f"{torn}: Expecting value" in ran.err
        assert "outbox: 2 messages refused as edited, and left\n" in ran.err
    states = {row.id: (row.state, row.failure_reason) for row in rows(database)}
    assert (states[good], states[wrong], states[torn]) == (
        ("failed", "discarded"), ("failed", "rejected"), ("failed", "rejected"),
    )  # fmt: skip
    ran = outbox("edit", wrong, "--set", "properties={}", "--set", "context=secret")
    assert (ran.code, ran.out) == (65, "")
    assert "event.context: 'secret' is neither website nor product" in ran.err
    assert "event.device_id: is missing" in ran.err
    assert len(rows(database)) == 4


def test_what_would_not_change_is_left(outbox: Console, database: Database) -> None:
    """The same bytes under another id would be a duplicate."""
    fail_many(database, {"bad": 3})
    ran = outbox("edit", "--error", "bad", "--set", "properties.plan=price_1PREMIUM", "--yes")
    assert ran.code == 0
    assert ran.out.endswith(
        "0 messages replaced by edited ones, due now\n3 messages left: nothing in them would change\n"
    )
    assert {row.failure_reason for row in rows(database)} == {"rejected"}


def test_a_webhooks_body_is_any_json(outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its paths begin at the top, and its type is its name; of a destination that is unknown here nothing is edited."""
    monkeypatch.setenv("OUTBOX_DESTINATION_CRM_URL", "https://crm.example/hooks")
    crm = add(database, state="failed", destination="crm", name="paid", body='{"type":"paid","items":[{"price":1}]}')
    stranger = add(database, state="failed", destination="elsewhere", body="{}")
    ran = outbox("edit", crm, stranger, "--set", "items.0.price=2.5", "--set", "type=refunded")
    assert ran.code == 65
    assert f"{stranger}: destination: elsewhere is not configured here\n" in ran.err
    new = the_new(database)
    assert (new.destination, new.name, new.body) == ("crm", "refunded", '{"type":"refunded","items":[{"price":2.5}]}')


def test_the_new_one_keeps_its_place_in_its_key(outbox: Console, database: Database) -> None:
    """With `block` what was behind the failed one goes behind the edited one."""
    first, second = put(database, 2, ordering_key="a", body=BODY)
    failed: dict[str, Any] = {"state": "failed", "failure_reason": "rejected", "settled_at": utc_now()}
    (old,) = put(database, ordering_key="a", created_at=utc_after(-3600.0), body=BODY, **failed)
    assert outbox("edit", old, "--set", "properties.plan=pro").code == 0
    with closing(Store(database.engine, blocks=True)) as store:
        claimed, _ = store.claim_heads("overcentric", Choice.ANY, limit=10, free=10, lease=LEASE)
        assert [each.id for each in claimed.messages] == [str(the_new_of(database, old))]
    assert {look(database, each).claim_token for each in (first, second)} == {None}


def the_new_of(database: Database, old: str) -> UUID:
    """What the old message says that replaced it."""
    return UUID(look(database, old).last_error.removeprefix("edited: replaced by "))


def test_a_dedup_key_still_creates_nothing(outbox: Console, database: Database) -> None:
    """It stays with the message that it was given to, which names the one in its place."""
    with Session(database.engine) as session, session.begin():
        old = library.enqueue(session, body("stripe_webhook"), dedup_key="evt_1")
    with database.engine.begin() as connection:
        failed = {"state": "failed", "failure_reason": "rejected", "settled_at": utc_now()}
        connection.execute(update(message).where(message.c.id == old).values(failed))
    assert outbox("edit", old, "--set", "properties.plan=pro").code == 0
    with Session(database.engine) as session, session.begin():
        assert library.enqueue(session, body("stripe_webhook"), dedup_key="evt_1") == old
    assert [row.id for row in rows(database)] == [old, the_new_of(database, str(old))]


def test_only_failed_messages_are_edited(outbox: Console, database: Database) -> None:
    """What is on its way, or delivered, is not: exit 1; what is not there: 3."""
    pending, delivered = add(database), add(database, state="delivered", settled_at=utc_now())
    before = rows(database)
    ran = outbox("edit", pending, delivered, uuid7(), "--set", "a=1")
    assert (ran.code, ran.out) == (3, "")
    assert f"{pending} is pending. Only failed messages are edited." in ran.err
    assert f"{delivered} is delivered. Only failed messages are edited." in ran.err
    assert rows(database) == before


@only_sqlite
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--all", "--yes"], "What is to change? Give --set PATH=VALUE or --unset PATH"),
        (["--all", "--set", "plan", "--yes"], "expected PATH=VALUE, such as properties.plan=pro"),
        (["--all", "--set", "a..b=1", "--yes"], "expected names separated by dots"),
        (["--all", "--set", "a=NaN", "--yes"], "NaN is not JSON"),
        (["--all", "--unset", "", "--yes"], "expected names separated by dots"),
        (["--set", "a=1"], "Which messages? Give ids, filters, or --all"),
        (["--all", "--set", "a=1"], "Nobody can be asked here"),
    ],
)
def test_a_mistake_in_the_call(outbox: Console, database: Database, arguments: list[str], words: str) -> None:
    """Exit 2, what is expected, and nothing changed."""
    fail(database)
    before = rows(database)
    ran = outbox("edit", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert rows(database) == before


@only_sqlite
@pytest.mark.parametrize(("answer", "count"), [("n", 1), ("y", 2)])
def test_a_person_is_asked(database: Database, answer: str, count: int) -> None:
    """The count comes before the question."""
    fail(database)
    _, screen = at_a_terminal(answer, "edit", "--all", "--set", "properties.plan=pro", "--database-url", database.url)
    assert screen.index("1 failed message matches") < screen.index("Send edited ones in their place? [y/N]")
    assert len(rows(database)) == count
