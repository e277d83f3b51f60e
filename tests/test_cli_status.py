"""`outbox status`: one screen that says whether all is well, and why not."""

from __future__ import annotations

import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, insert, update

from outbox._version import __version__
from outbox.schema import destination, message, utc_after, worker
from outbox.store import Store
from outbox.store.engine import open_engine
from outbox.store.look import standing
from outbox.store.look import status as status_module
from support.commands import Console, add
from support.databases import Database
from support.screens import Screen


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def _beat(database: Database, identity: UUID, host: str = "shop-1", pid: int = 4711, ago: float = 0.0) -> None:
    with closing(Store(database.engine)) as store:
        store.heartbeat(identity, host, pid, __version__, None)
    with database.engine.begin() as connection:
        connection.execute(update(worker).where(worker.c.id == identity).values(seen_at=utc_after(-ago)))


def test_workers_that_live_are_listed(outbox: Console, database: Database) -> None:
    """With their version, since when, and when they were seen; who was silent for longer than three beats is not."""
    _beat(database, uuid4(), "shop-2", 1, ago=5.0)
    _beat(database, uuid4(), "shop-1", 2)
    _beat(database, uuid4(), "shop-0", 3, ago=36.0)
    first, second = outbox("status", "--json").json["workers"]
    assert list(first) == ["host", "pid", "version", "started_at", "seen_at", "trouble"]
    assert (first["host"], first["pid"], first["version"], first["trouble"]) == ("shop-1", 2, __version__, None)
    assert (second["host"], second["pid"]) == ("shop-2", 1)
    assert outbox("status", "--json").json["last_worker"] is None
    text = outbox("status").out
    assert re.search(r"^WORKER +PROCESS +VERSION +STARTED +SEEN$", text, re.MULTILINE)
    assert re.search(rf"^shop-2 +1 +{re.escape(__version__)} +\S.* +[56] s ago$", text, re.MULTILINE)
    assert "shop-0" not in text


def test_a_worker_that_was_killed_is_missed(outbox: Console, database: Database) -> None:
    """Where something waits and nobody lives the verdict says so, and who was seen last; one that ended leaves nothing."""
    killed, ended = uuid4(), uuid4()
    _beat(database, killed, "shop-1", 4711, ago=180.0)
    _beat(database, uuid4(), "shop-2", 1, ago=240.0)
    _beat(database, ended, "shop-3", 2)
    with closing(Store(database.engine)) as store:
        store.farewell(ended)
    says = "No worker is running; the last one was seen 3 min ago: process 4711 on shop-1."
    assert outbox("status").out.startswith("All well: nothing is waiting.\n")
    assert outbox("status").out.endswith(f"{says}\n")
    added = add(database, due_at=utc_after(60.0))
    assert outbox("status", "--json").json["verdict"] == [says]
    with database.engine.begin() as connection:
        connection.execute(update(message).where(message.c.id == added).values(due_at=utc_after(-5.0)))
    assert outbox("status").out.startswith(
        "1 due, the oldest for 5 s. No worker is running; the last one was seen 3 min"
    )
    with database.engine.begin() as connection:
        connection.execute(worker.delete())
    assert outbox("status").out.startswith("1 due, the oldest for 5 s. No worker is running.\n")


def test_workers_that_hold_nothing_are_asked_about(outbox: Console, database: Database) -> None:
    """What has been due for long while workers live has another reason; a pause is one."""
    _beat(database, uuid4())
    added = add(database, due_at=utc_after(-119.0))
    assert outbox("status", "--json").json["verdict"] == ["1 due, the oldest for 119 s."]
    with database.engine.begin() as connection:
        connection.execute(update(message).where(message.c.id == added).values(due_at=utc_after(-300.0)))
    why = "1 due, the oldest for 5 min. The workers that live hold nothing: their logs say why."
    assert outbox("status", "--json").json["verdict"] == [why]
    with database.engine.begin() as connection:
        paused: dict[str, Any] = {"cause": "operator", "paused_until": utc_after(600.0), "reason": "moving"}
        connection.execute(insert(destination).values(name="overcentric", **paused))
    assert outbox("status", "--json").json["verdict"][-1] == "1 due, the oldest for 5 min."


def test_the_most_frequent_errors_are_there(outbox: Console, database: Database) -> None:
    """Five of them, by what they have in common, with when they happened and an id to look at."""
    for number in range(7):
        for _ in range(number + 1):
            add(database, state="failed", last_error=f"{'abcdefg'[number]} is wrong with {uuid4()}")
    found = outbox("status", "--json").json["errors"]
    assert [(each["error"], each["count"]) for each in found] == [
        (f"{word} is wrong with #", count) for word, count in zip("gfedc", (7, 6, 5, 4, 3), strict=True)
    ]
    assert list(found[0]) == ["error", "count", "first_settled_at", "last_settled_at", "sample_id"]
    assert re.search(r"^ +7 +\S.* +[0-9a-f-]{36} +g is wrong with #$", outbox("status").out, re.MULTILINE)


def test_errors_of_many_are_those_of_the_newest(
    outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many have failed, a bounded number is looked at, and the screen says so."""
    monkeypatch.setattr(status_module, "NEWEST", 3)
    monkeypatch.setattr("outbox.render.standing.NEWEST", 3)
    for word in ("old", "old", "old", "new", "newer", "newest"):
        add(database, state="failed", last_error=word)
    assert {each["error"] for each in outbox("status", "--json").json["errors"]} == {"new", "newer", "newest"}
    assert "\nOf the newest 3 failed:\nCOUNT" in outbox("status").out


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_nothing_is_locked(database: Database) -> None:
    """Right after each statement of a look, in the middle of its transactions, others write to every row at once."""
    add(database, state="failed")
    add(database)
    _beat(database, uuid4())
    other, writes = open_engine(database.url), list[int]()

    def write(*_: object) -> None:
        with other.begin() as connection:
            writes.append(connection.execute(update(message).values(lost=message.c.lost + 1)).rowcount)
            writes.append(connection.execute(update(worker).values(trouble=None)).rowcount)

    with database.engine.connect() as connection:
        event.listen(database.engine, "after_cursor_execute", write)
        standing(connection, ("overcentric",))
        event.remove(database.engine, "after_cursor_execute", write)
    assert len(writes) >= 10
    assert set(writes[::2]) == {2}
    other.dispose()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_reader_leaves_sqlite_to_writers_between_its_statements(database: Database) -> None:
    """Once it has looked, no transaction is open, though its connection is."""
    add(database)
    with database.engine.connect() as connection:
        standing(connection, ("overcentric",))
        with closing(sqlite3.connect(str(database.engine.url.database), timeout=0)) as writer, writer:
            writer.execute("UPDATE outbox_message SET attempts = attempts + 1")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_watch_is_for_a_terminal(outbox: Console) -> None:
    """Off a terminal, with JSON, or with an interval that is none, it is a mistake."""
    for options, said in (
        (["--watch"], "--watch is for a terminal"),
        (["--watch", "5s"], "--watch is for a terminal"),
        (["--watch", "--json"], "--watch and --json exclude each other"),
        (["--watch", "soon"], "expected a number and a unit"),
        (["--watch", "0s"], "expected 100ms to 1d"),
        (["--watch", "9999d"], "expected 100ms to 1d"),
    ):
        ran = outbox("status", *options)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_redraws_until_it_is_ended(database: Database, number: signal.Signals) -> None:
    """What changes shows without a key; at the end the terminal is as it was, with the last look below; Ctrl-C is no failure."""
    with Screen("status", "--watch", "100ms", "--database-url", database.url) as screen:
        screen.wait_for(b"All well: nothing is waiting.")
        add(database, state="failed", last_error="\x1b[2J=oh no\u202e")
        screen.wait_for(b"1 failed: `outbox failed` lists them.")
        screen.process.send_signal(number)
        code = screen.end()
    assert code == (0 if number == signal.SIGINT else 143)
    assert screen.received.startswith(b"\x1b[?1049h\x1b[?25l\x1b[H")
    drawn, _, left = screen.received.rpartition(b"\x1b[?25h\x1b[?1049l")
    assert drawn
    assert (b"1 failed" in left) == (number == signal.SIGINT)
    assert b"\\x1b[#=oh no\\u202e" in drawn
    ours = rb"\x1b\[(?:\?1049h|\?25l|H|K|J|[0-9;]*m)"
    assert b"\x1b" not in re.sub(ours, b"", drawn)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_watch_goes_on_where_the_database_comes_back(database: Database) -> None:
    """Trouble in between is shown in its place; trouble at the beginning is the command's end, with its exit code."""
    path = Path(str(database.engine.url.database))
    away = path.with_suffix(".away")
    with Screen("status", "--watch", "100ms", "--database-url", database.url) as screen:
        screen.wait_for(b"All well")
        path.rename(away)
        screen.wait_for(b"outbox: ")
        seen = len(screen.received)
        away.rename(path)
        screen.wait_for(b"All well", after=seen)
        screen.process.send_signal(signal.SIGINT)
        assert screen.end() == 0
    path.rename(away)
    with Screen("status", "--watch", "100ms", "--database-url", database.url) as screen:
        assert screen.end() == 4


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_watch_draws_no_more_than_there_is_room_for(database: Database) -> None:
    """On a small terminal the end is cut, so that the verdict stays on the screen."""
    for number in range(5):
        add(database, state="failed", last_error="abcde"[number])
    with Screen("status", "--watch", "100ms", "--database-url", database.url, rows=6) as screen:
        screen.wait_for(b"\x1b[J")
        screen.process.send_signal(signal.SIGINT)
        assert screen.end() == 0
    frame = screen.received.partition(b"\x1b[H")[2].partition(b"\x1b[J")[0]
    assert frame.startswith(b"5 failed")
    assert frame.count(b"\n") <= 5
    assert b"SAMPLE ID" not in frame
    assert b"SAMPLE ID" in screen.received


def test_what_was_discarded_is_counted_apart(outbox: Console, database: Database) -> None:
    """It is no trouble any more: not for status, not for check, and `outbox failed` lists it only when asked."""
    failed = {"state": "failed", "last_error": "HTTP 400"}
    add(database, name="bad", **failed)
    for _ in range(2):
        add(database, name="given_up", failure_reason="discarded", **failed)
    found = outbox("status", "--json").json
    assert (found["failed"], found["discarded"], found["delivered"]) == (1, 2, 0)
    assert [each["count"] for each in found["errors"]] == [1]
    assert re.search(r"^discarded +2$", outbox("status").out, re.MULTILINE)
    assert "failed=1;" in outbox("check").out
    assert [each["name"] for each in outbox("failed", "--json").json] == ["bad"]
    assert [each["count"] for each in outbox("failed", "--by", "status", "--json").json] == [1]
    assert len(outbox("failed", "--failure-reason", "discarded", "--json").json) == 2
    assert len(outbox("list", "--state", "failed", "--json").json) == 3
