"""`outbox retry` by a filter: one command for ten thousand messages, and no surprise."""

from __future__ import annotations

import getpass
import re
import socket
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from outbox.schema import message, utc_after
from support.commands import Console, add, at_a_terminal, process, rows
from support.databases import Database
from support.failures import CAUSES, by_error, fail_many

ME = f"{getpass.getuser()}@{socket.gethostname()}"

only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def test_one_cause_of_three_is_sent_again(outbox: Console, database: Database) -> None:
    """Of 10,000 failed messages the 5,000 of one cause; the counts before, meanwhile and afterwards agree."""
    fail_many(database, CAUSES)
    listed = {each["error"]: each["count"] for each in outbox("failed", "--by", "error", "--json").json}
    assert listed == CAUSES
    counted = outbox("retry", "--error", "service unavailable", "--dry-run")
    assert (counted.code, counted.out, counted.err) == (0, "5,000 failed messages match\n", "")
    ran = outbox("retry", "--error", "service unavailable", "--yes", "--reason", "their database is back")
    assert ran.code == 0
    assert ran.out == "5,000 failed messages match\n5,000 messages pending again, due now\n"
    assert by_error(database, "pending") == {"HTTP 503 Service Unavailable": 5000}
    assert by_error(database, "failed") == {"HTTP 400 Bad Request": 3000, "connection reset": 2000}
    assert {(row.attempts, row.settled_at, row.failure_reason) for row in rows(database) if row.state == "pending"} == {
        (0, None, None)
    }


def test_it_is_on_record(outbox: Console, database: Database) -> None:
    """Who, when, which filter, how many, why: before the change and after it, in the log's form."""
    add(database, state="failed")
    ran = outbox("retry", "--name", "document_*", "--yes", "--reason", "repaired\x1b[2J")
    begins, ended = ran.err.splitlines()
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    command = r"outbox retry --name 'document_\*' --failed-before \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
    told = rf"{moment} info outbox\.audit: {re.escape(ME)}"
    assert re.fullmatch(rf"{told} begins: {command}; messages: 1; reason: repaired\\x1b\[2J", begins), begins
    assert re.fullmatch(rf"{told} has ended: {command}; messages changed: 1", ended), ended


@only_sqlite
def test_the_record_heeds_no_log_level(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet log is not silent about a change of many."""
    add(database, state="failed")
    monkeypatch.setenv("OUTBOX_LOG_LEVEL", "error")
    ran = process("retry", "--all", "--yes", "--database-url", database.url)
    assert (ran.code, len(ran.err.splitlines())) == (0, 2)
    assert "reason: not given" in ran.err


def test_named_ones_are_on_record_with_a_reason(outbox: Console, database: Database) -> None:
    """Of ids nothing is logged unless somebody says why."""
    added = add(database, state="failed")
    ran = outbox("retry", added, "--reason", "asked for by the shop")
    assert ran.code == 0
    assert f"{ME} begins: outbox retry {added}; messages: 1; reason: asked for by the shop" in ran.err


def test_what_was_discarded_stays_so(outbox: Console, database: Database) -> None:
    """A filter leaves it alone and says so, unless it asks for just that; an id is enough, too."""
    fail_many(database, {"bad": 2}, failure_reason="discarded")
    fail_many(database, {"bad": 1})
    ran = outbox("retry", "--error", "bad", "--yes")
    assert ran.out == (
        "1 failed message matches\n2 more, discarded before, are left alone\n1 message pending again, due now\n"
    )
    assert outbox("retry", "--all", "--dry-run").out.startswith("0 failed messages match\n")
    first = next(row.id for row in rows(database) if row.state == "failed")
    assert outbox("retry", first).code == 0
    ran = outbox("retry", "--failure-reason", "discarded", "--yes")
    assert ran.out == "1 failed message matches\n1 message pending again, due now\n"
    assert {row.state for row in rows(database)} == {"pending"}


def test_what_fails_again_is_not_met_twice(outbox: Console, database: Database) -> None:
    """A set ends where the command began: messages that failed later are left, by it and by the command that goes on."""
    (early, late) = fail_many(database, {"bad": 2})["bad"]
    with database.engine.begin() as connection:
        connection.execute(update(message).where(message.c.id == late).values(settled_at=utc_after(60.0)))
    ran = outbox("retry", "--error", "bad", "--yes")
    assert ran.out.startswith("1 failed message matches\n")
    bound = ran.err.splitlines()[0].partition("--failed-before ")[2].partition(";")[0]
    with database.engine.begin() as connection:
        again = update(message).where(message.c.id == early)
        connection.execute(again.values(state="failed", failure_reason="rejected", settled_at=utc_after(0.01)))
    assert outbox("retry", "--error", "bad", "--failed-before", bound, "--yes").out == "0 failed messages match\n"


def test_a_rate_is_written_into_the_rows(outbox: Console, database: Database) -> None:
    """10,000 at 100/s are due within 100 s, evenly, from now on; no second has more; no process has to stay."""
    fail_many(database, CAUSES)
    ran = outbox("retry", "--all", "--rate", "100/s", "--yes")
    assert (ran.code, ran.out.splitlines()[1]) == (
        0,
        "10,000 messages pending again, due now and, at 100/s, for the next 100 s",
    )
    with database.engine.connect() as connection:
        due = connection.execute(select(message.c.due_at).order_by(message.c.due_at)).scalars().all()
    assert timedelta(seconds=99) < due[-1] - due[0] < timedelta(seconds=110)
    assert all(timedelta(seconds=0.9) < later - early for early, later in zip(due, due[100:], strict=False))
    assert len(due) == 10_000


@only_sqlite
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Which messages? Give ids, filters, or --all"),
        (["0199f0c2", "--error", "x"], "Ids name the messages"),
        (["0199f0c2", "--all"], "Ids name the messages"),
        (["--all", "--error", "x"], "--all means every one"),
        (["0199f0c2", "--rate", "1/s"], "--dry-run and --rate are for many"),
        (["0199f0c2", "--dry-run"], "--dry-run and --rate are for many"),
        (["--all", "--rate", "0/s"], "expected a number above zero and a unit"),
        (["--all", "--rate", "none"], "expected a number above zero and a unit"),
        (["--failure-reason", "bored"], "'bored' is not one of"),
        (["--all"], "Nobody can be asked here: add --yes, or --dry-run to count"),
        (["--error", "x"], "Nobody can be asked here: add --yes, or --dry-run to count"),
    ],
)
def test_a_mistake_in_the_call(outbox: Console, database: Database, arguments: list[str], words: str) -> None:
    """Exit 2, what is expected, and nothing changed."""
    add(database, state="failed")
    ran = outbox("retry", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert {row.state for row in rows(database)} == {"failed"}


@only_sqlite
@pytest.mark.parametrize(("answer", "code", "state"), [("n", 1, "failed"), ("y", 0, "pending")])
def test_a_person_is_asked(database: Database, answer: str, code: int, state: str) -> None:
    """The count comes before the question; with no nothing is changed, and the command fails."""
    fail_many(database, {"bad": 1200})
    ended, screen = at_a_terminal(answer, "retry", "--error", "bad", "--database-url", database.url)
    assert ended == code
    assert screen.index("1,200 failed messages match") < screen.index("Send them again? [y/N]")
    assert ("Nothing was changed" in screen) == (code == 1)
    assert "Counting" in screen
    assert ("Sending again" in screen) == (code == 0)
    assert Counter(row.state for row in rows(database)) == {state: 1200}
