"""`outbox check`: a monitoring plugin's line and exit code, whatever happens."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, update

from outbox._version import __version__
from outbox.render.nagios import Level, Limits, Thresholds, judged, unknown
from outbox.schema import destination, utc_after, worker
from outbox.store import Store
from outbox.store.look import Health
from support.commands import Console, Ran, add, process
from support.databases import Database

CANARY = "s3cret-canary"
# A label, a value with its unit, then warn, crit, min and max; what is left out at the end needs no semicolon.
_PERFORMANCE = re.compile(r"[a-z_]+=-?\d+(\.\d+)?(s|%|c|B)?(;(\d+(\.\d+)?:?)?){0,4}")


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def _line(ran: Ran) -> str:
    """The line without its end: there is one, on standard output alone, and it is the plugin's."""
    assert ran.err == ""
    assert ran.out.count("\n") == 1
    assert ran.out.endswith("\n")
    word = ("OK", "WARNING", "CRITICAL", "UNKNOWN")[ran.code]
    assert ran.out.startswith(f"OUTBOX {word} - ")
    text, bar, data = ran.out[:-1].partition(" | ")
    assert "|" not in text + data
    assert bool(bar) == (ran.code != 3)
    assert all(_PERFORMANCE.fullmatch(each) for each in data.split())
    return ran.out[:-1]


def _live(database: Database, ago: float = 0.0) -> None:
    with closing(Store(database.engine)) as store:
        store.heartbeat(identity := uuid4(), "shop-1", 4711, __version__, None)
    with database.engine.begin() as connection:
        connection.execute(update(worker).where(worker.c.id == identity).values(seen_at=utc_after(-ago)))


def test_all_is_well(outbox: Console, database: Database) -> None:
    """Workers live, nothing has been due for long, nothing has failed: OK, and the figures to draw."""
    _live(database)
    _live(database)
    ran = outbox("check")
    assert ran.code == 0
    assert _line(ran) == (
        "OUTBOX OK - nothing due, failed 0, 2 workers | oldest_due=0s;120;600 failed=0;0;100 workers=2;;1:"
    )
    add(database, due_at=utc_after(-3.2))
    add(database, state="delivered", settled_at=utc_after(-1.0))
    ran = outbox("check")
    assert ran.code == 0
    assert re.fullmatch(
        r"OUTBOX OK - oldest due (\d+) s, failed 0, 2 workers \| oldest_due=\1s;120;600 failed=0;0;100 workers=2;;1:",
        _line(ran),
    )


def test_what_is_due_for_long(outbox: Console, database: Database) -> None:
    """With a key or without; what is held, and what is due later, is not."""
    _live(database)
    add(database, due_at=utc_after(-9000.0), claim_token=uuid4(), claimed_until=utc_after(60.0))
    add(database, due_at=utc_after(60.0))
    assert outbox("check").code == 0
    add(database, due_at=utc_after(-130.0))
    ran = outbox("check")
    assert (ran.code, _line(ran).partition(" | ")[0]) == (
        1,
        "OUTBOX WARNING - oldest due 2 min (more than 2m), failed 0, 1 worker",
    )
    add(database, due_at=utc_after(-700.0), ordering_key="k")
    ran = outbox("check")
    assert ran.code == 2
    assert "oldest due 11 min (more than 10m)" in _line(ran)
    assert outbox("check", "--warn", "15m", "--crit", "20m").code == 0
    assert outbox("check", "--warn", "1m", "--crit", "20m").code == 1
    assert outbox("check", "--warn", "1m", "--crit", "none").code == 1
    assert outbox("check", "--warn", "none", "--crit", "none").code == 0
    assert "oldest_due=7" in _line(outbox("check", "--warn", "none", "--crit", "1.5s"))
    assert re.search(r"oldest_due=70\ds;;1\.5 ", _line(outbox("check", "--warn", "none", "--crit", "1.5s")))


def test_what_has_failed(outbox: Console, database: Database) -> None:
    """More than the threshold, of all or of those that failed lately."""
    _live(database)
    for minutes in (1, 1, 90):
        add(database, state="failed", settled_at=utc_after(-60.0 * minutes))
    ran = outbox("check")
    assert ran.code == 1
    assert _line(ran).startswith("OUTBOX WARNING - failed 3 (more than 0), nothing due, 1 worker | ")
    assert outbox("check", "--failed-warn", "3").code == 0
    assert outbox("check", "--failed-warn", "2").code == 1
    assert outbox("check", "--failed-warn", "0", "--failed-crit", "2").code == 2
    assert outbox("check", "--failed-warn", "none").code == 0
    ran = outbox("check", "--failed-since", "1h", "--failed-warn", "2")
    assert (ran.code, "failed 2 in the last 1h" in _line(ran)) == (0, True)
    assert outbox("check", "--failed-since", "30s").code == 0
    assert outbox("check", "--failed-since", "2h", "--failed-warn", "2").code == 1


def test_no_worker_is_critical(outbox: Console, database: Database) -> None:
    """Neither is one that has been silent; how many must live can be said, none, too."""
    _live(database, ago=60.0)
    ran = outbox("check")
    assert ran.code == 2
    assert _line(ran) == (
        "OUTBOX CRITICAL - no worker, nothing due, failed 0 | oldest_due=0s;120;600 failed=0;0;100 workers=0;;1:"
    )
    ran = outbox("check", "--workers", 0)
    assert (ran.code, _line(ran).endswith(" workers=0")) == (0, True)
    _live(database)
    assert outbox("check").code == 0
    ran = outbox("check", "--workers", 2)
    assert ran.code == 2
    assert "1 worker (fewer than 2)" in _line(ran)


def test_a_pause_is_named(outbox: Console, database: Database) -> None:
    """It is no alarm of its own; whoever reads why messages wait finds it."""
    _live(database)
    with database.engine.begin() as connection:
        paused: dict[str, Any] = {"cause": "operator", "paused_until": utc_after(600.0), "reason": "moving"}
        connection.execute(insert(destination).values(name="a|b\x1b[2J", **paused))
    ran = outbox("check")
    assert ran.code == 0
    assert "1 worker, a/b\\x1b[2J paused | " in _line(ran)


@pytest.mark.parametrize(
    ("found", "level", "text"),
    [
        (Health(None, 0, 1, []), Level.OK, "nothing due, failed 0, 1 worker"),
        (Health(10.0, 5, 1, []), Level.OK, "oldest due 10 s, failed 5, 1 worker"),
        (Health(10.1, 0, 1, []), Level.WARNING, "oldest due 10 s (more than 10s), failed 0, 1 worker"),
        (Health(0.0, 6, 1, []), Level.WARNING, "failed 6 (more than 5), oldest due under 1 s, 1 worker"),
        (Health(20.1, 6, 1, []), Level.CRITICAL, "oldest due 20 s (more than 20s), failed 6 (more than 5), 1 worker"),
        (
            Health(10.1, 9, 0, ["crm"]),
            Level.CRITICAL,
            "failed 9 (more than 8), no worker, oldest due 10 s (more than 10s), crm paused",
        ),
    ],
)
def test_the_worst_comes_first(found: Health, level: Level, text: str) -> None:
    """A value at its threshold is within it, as the guidelines have it; the exit code is that of the worst."""
    wanted = Thresholds(Limits(10.0, 20.0), Limits(5, 8), None, 1)
    got, line = judged(found, wanted)
    assert (got, line.partition(" | ")[0]) == (level, f"OUTBOX {level.name} - {text}")


def test_a_reason_is_one_line_without_a_bar() -> None:
    """Behind a bar a monitoring system reads figures."""
    assert unknown("a\nb | c\x1b[2J") == "OUTBOX UNKNOWN - a\\nb / c\\x1b[2J"


def test_missing_tables_are_unknown(capsys: pytest.CaptureFixture[str], empty_database: Database) -> None:
    """And so is a file that is not there."""
    ran = Console(capsys, empty_database)("check")
    assert ran.code == 3
    assert "outbox db upgrade" in _line(ran)
    elsewhere = Database("sqlite", "sqlite:////nowhere/at/all.db")
    ran = Console(capsys, elsewhere)("check")
    assert ran.code == 3
    assert "/nowhere/at/all.db" in _line(ran)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_database_that_is_away_is_unknown(capsys: pytest.CaptureFixture[str], scheme: str) -> None:
    """With the place, without the password."""
    ran = Console(capsys, Database("none", f"{scheme}://app:{CANARY}@127.0.0.1:1/shop"))("check")
    assert ran.code == 3
    assert "127.0.0.1:1" in _line(ran)
    assert CANARY not in ran.out


@pytest.mark.parametrize(
    "options",
    [
        ["--warn", "soon"], ["--warn", "10m", "--crit", "2m"], ["--failed-warn", "2", "--failed-crit", "1"], ["--frobnicate"],
        ["--failed-crit", "-1"], ["--workers", "many"], ["--timeout", "0s"], ["extra"], ["--database-url", f"oracle://u:{CANARY}@h/d"],
        ["--config", "/nowhere/outbox.toml"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_wrong_call_is_unknown(database: Database, options: list[str]) -> None:
    """Never another exit code, which would be a verdict: 2 would be CRITICAL, 1 WARNING."""
    given = [] if "--database-url" in options else ["--database-url", database.url]
    ran = process("check", *options, *given)
    assert ran.code == 3
    assert CANARY not in _line(ran)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_fault_of_ours_is_unknown(outbox: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody foresaw is no WARNING, as Python's own exit code would be."""

    def broken(*_: object, **__: object) -> None:
        msg = "it broke"
        raise RuntimeError(msg)

    monkeypatch.setattr("outbox.store.look.health", broken)
    ran = outbox("check")
    assert (ran.code, _line(ran)) == (3, "OUTBOX UNKNOWN - RuntimeError: it broke")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_nobody_to_tell_is_unknown(database: Database) -> None:
    """A full disk behind standard output."""
    command = [sys.executable, "-m", "outbox", "check", "--database-url", database.url]
    with Path("/dev/full").open("wb") as full:
        finished = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)
    assert finished.returncode == 3


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_database_that_takes_its_time_is_unknown(outbox: Console, database: Database) -> None:
    """`--timeout` ends the wait for a statement that another one holds up."""
    held = {"postgresql": "LOCK TABLE outbox_worker", "mariadb": "LOCK TABLES outbox_worker WRITE"}[database.kind]
    with database.engine.connect() as connection:
        connection.exec_driver_sql(held)
        began = time.monotonic()
        ran = outbox("check", "--timeout", "500ms")
        assert time.monotonic() - began < 5
        assert ran.code == 3
        assert "0.5" in _line(ran) or "500" in _line(ran)
        if database.kind == "mariadb":
            connection.exec_driver_sql("UNLOCK TABLES")
