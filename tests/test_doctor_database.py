"""`outbox doctor` on the database: what each server is found to promise, and who works on it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from outbox.doctor.clock import clock
from outbox.doctor.durability import wal_reset
from outbox.doctor.finding import Level
from outbox.producer.ids import uuid7
from outbox.schema import utc_after
from outbox.settings import Settings
from outbox.store.heartbeat import heartbeat
from outbox.store.transactions import Transactions
from support.commands import Console, add, process
from support.databases import Database, build_schema
from support.roles import plain_role
from support.servers import MariaServer, PostgresServer, Server, ServerMissing
from support.waiting import eventually
from support.workers import worker

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
on_servers = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)


@pytest.fixture
def outbox(
    capsys: pytest.CaptureFixture[str], database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Console:
    """`outbox …` against the test's database, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    return Console(capsys, database)


def doctor(outbox: Console) -> list[str]:
    """Each finding as a line `level check: text`."""
    return lines(outbox("doctor", "--offline", "--json").json)


def lines(found: dict[str, list[dict[str, str]]]) -> list[str]:
    return [f"{each['level']} {each['check']}: {each['text']}" for each in found["findings"]]


def remedies(outbox: Console, text: str) -> list[str]:
    found = outbox("doctor", "--offline", "--json").json["findings"]
    return [each["remedy"] for each in found if text in each["text"]]


def test_what_is_well_is_said(outbox: Console, database: Database) -> None:
    """The server's name and version, the tables, the driver; a file of SQLite's is well but for its mode."""
    found = doctor(outbox)
    names = {"sqlite": "SQLite 3.", "postgresql": "PostgreSQL ", "mariadb": "MariaDB "}
    assert any(each.startswith(f"ok database: {names[database.kind]}") for each in found)
    assert "ok schema: the tables are those of this program" in found
    assert "ok messages: 0 due, 0 claimed, 0 scheduled" in found
    drivers = {"sqlite": "sqlite3 of Python", "postgresql": "psycopg 3.", "mariadb": "pymysql 1."}
    assert any(each.startswith(f"ok driver: {drivers[database.kind]}") for each in found)
    assert any(each.startswith("ok clock: ") for each in found) == (database.kind != "sqlite")
    assert "secret" not in str([each for each in found if each.startswith("ok database")])


@on_servers
def test_a_server_that_forgets_what_it_has_committed(outbox: Console, database: Database) -> None:
    """As the tests' own servers do, which are to be fast."""
    found = doctor(outbox)
    if database.kind == "postgresql":
        assert any(each.startswith("problem durability: fsync=off") for each in found)
        assert any(each.startswith("warning durability: full_page_writes=off") for each in found)
        assert outbox("doctor", "--offline").code == 1
    else:
        assert any(
            each.startswith("warning durability: innodb_flush_log_at_trx_commit=2: a power cut") for each in found
        )
        assert any(each.startswith("warning durability: innodb_doublewrite=off") for each in found)
        assert remedies(outbox, "innodb_doublewrite=off") == ["Set innodb_doublewrite = ON"]


@pytest.mark.parametrize("kind", [PostgresServer, MariaServer])
def test_a_server_that_keeps_it(kind: type[Server], capsys: pytest.CaptureFixture[str]) -> None:
    """With its own defaults; with a binary log that is not synced it is warned of."""
    try:
        server = kind(durable=True)
    except ServerMissing as missing:
        pytest.skip(str(missing))
    with server:
        url = server.create_database("shop")
        build_schema(url)
        outbox = Console(capsys, Database(server.kind, url, server))
        (found,) = [each for each in doctor(outbox) if "durability" in each]
        assert found.startswith("ok durability: ")
        if kind is MariaServer:
            server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
            (found,) = [each for each in doctor(outbox) if "durability" in each]
            assert "a crash of the server or a power cut" in found
        else:
            server.execute("ALTER DATABASE shop SET synchronous_commit = off")
            (found,) = [each for each in doctor(outbox) if "durability" in each]
            assert found.startswith("warning durability: synchronous_commit=off")


@on_sqlite
def test_the_journal_of_a_file(outbox: Console, database: Database) -> None:
    """In WAL mode the version of SQLite matters."""
    assert "ok durability: journal_mode=delete, synchronous=full" in doctor(outbox)
    with closing(sqlite3.connect(str(make_url(database.url).database))) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    warned = any("has a bug that can corrupt it" in each for each in doctor(outbox))
    assert warned == bool([*wal_reset(sqlite3.sqlite_version_info)])


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False), ((3, 7, 0), True), ((3, 40, 1), True), ((3, 44, 5), True), ((3, 44, 6), False),
        ((3, 44, 9), False), ((3, 45, 0), True), ((3, 50, 6), True), ((3, 50, 7), False), ((3, 51, 2), True),
        ((3, 51, 3), False), ((3, 52, 0), False), ((4, 0, 0), False),
    ],
)  # fmt: skip
def test_which_versions_have_the_bug(version: tuple[int, ...], *, affected: bool) -> None:
    """SQLite 3.7.0 to 3.51.2, without 3.50.7 and 3.44.6 and those that follow them in their branches."""
    assert bool([*wal_reset(version)]) == affected


@on_servers
def test_a_clock_that_differs(database: Database) -> None:
    """By more than the way to the database can explain."""
    with database.engine.connect() as connection, connection.begin():
        (found,) = clock(connection, Settings(), lambda: time.time() + 600)
        assert found.level is Level.WARNING
        assert found.text.startswith(("the database's clock is 600 s behind", "the database's clock is 599 s behind"))
        (found,) = clock(connection, Settings(), lambda: time.time() - 60)
        assert "60 s ahead of" in found.text
        slow = iter((time.time() - 35, time.time() + 5))  # 40 s on the way: 15 s apart may be none
        (found,) = clock(connection, Settings(), lambda: next(slow))
        assert found.level is Level.OK


def test_tables_that_are_missing(empty_database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """The remedy is the command that makes them; what only they could tell is not asked."""
    with empty_database.engine.connect():  # SQLite makes its file
        pass
    outbox = Console(capsys, empty_database)
    found = doctor(outbox)
    assert len([each for each in found if each.startswith("problem ") and " schema: " in each]) == 1
    assert not [each for each in found if "worker" in each.split(":")[0]]
    assert outbox("doctor", "--offline").code == 1
    assert remedies(outbox, "schema is missing") == ["Run: outbox db upgrade"]


@on_servers
def test_a_database_that_is_not_there(database: Database) -> None:
    """One problem, its password hidden, and the other checks are run all the same."""
    nowhere = make_url(database.url).set(port=1, password="s3cret-canary").render_as_string(hide_password=False)
    ran = process("doctor", "--offline", "--json", "--database-url", nowhere)
    assert ran.code == 1
    (found,) = [each for each in ran.json["findings"] if each["check"] == "database"]
    assert (found["level"], "cannot be used" in found["text"]) == ("problem", True)
    assert any(each["check"] == "destination overcentric" for each in ran.json["findings"])
    assert "s3cret-canary" not in ran.out + ran.err


@on_servers
def test_a_role_with_a_workers_rights_is_enough(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Every check runs with the rights that docs/databases.md lists."""
    with plain_role(database) as url:
        found = doctor(Console(capsys, Database(database.kind, url, database.server)))
    assert {"database", "schema", "durability", "worker", "messages"} <= {each.split()[1].rstrip(":") for each in found}


def test_workers_and_messages(outbox: Console, database: Database) -> None:
    """No worker; then one of another version. Due for long is a problem; failed and unknown destinations are warned of."""
    assert "warning worker: no worker is alive: nothing is delivered" in doctor(outbox)
    with closing(Transactions(database.engine)) as transactions:
        transactions.run(heartbeat, uuid7(), "shop-1", 4711, "0.0.1", trouble="overcentric: no route")
    add(database, state="failed")
    add(database, due_at=utc_after(-300.0))
    add(database, destination="crm")
    found = doctor(outbox)
    assert "ok worker: shop-1 (process 4711)" in found
    assert any(each.startswith("warning worker: workers of other versions are alive: 0.0.1; this is") for each in found)
    assert "warning worker: the worker on shop-1 (process 4711) waits: overcentric: no route" in found
    assert "problem messages: 2 due, the oldest for 5 min, and no worker holds any" in found
    assert "warning messages: 1 due for crm, which these settings do not know" in found
    assert "warning messages: 1 failed: nobody sends them again on their own" in found
    assert remedies(outbox, "due for crm") == ["Set OUTBOX_DESTINATION_CRM_URL where the worker runs"]


def test_a_pause(outbox: Console) -> None:
    """Who paused, why, and how it ends."""
    outbox("pause", "--reason", "their maintenance")
    assert any(each.startswith("warning pause: overcentric is paused until resumed by ") for each in doctor(outbox))
    assert remedies(outbox, "their maintenance") == ["When it works again: outbox resume overcentric"]


def test_a_wake_that_nobody_hears(
    outbox: Console, database: Database, settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL a worker must listen; elsewhere the setting means nothing."""
    monkeypatch.setenv("OUTBOX_WAKE", "on")
    if database.kind != "postgresql":
        assert "warning wake: OUTBOX_WAKE=on means nothing here: only PostgreSQL can tell of a commit" in doctor(outbox)
        return
    with worker(tmp_path, settings):
        eventually(
            lambda: any(each.startswith("warning wake: OUTBOX_WAKE=on, and no worker") for each in doctor(outbox))
        )
        with worker(tmp_path, settings | {"OUTBOX_WAKE": "on"}):
            eventually(lambda: "ok wake: a worker listens" in doctor(outbox))


@on_postgresql
def test_a_listener_of_another_role_cannot_be_told(
    database: Database,
    settings: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What this role may not see it does not call missing."""
    monkeypatch.setenv("OUTBOX_WAKE", "on")
    with plain_role(database) as url, worker(tmp_path, settings | {"OUTBOX_WAKE": "on"}):
        outbox = Console(capsys, Database(database.kind, url, database.server))
        eventually(lambda: any(each.startswith("ok worker") for each in doctor(outbox)))
        assert not [each for each in doctor(outbox) if " wake: " in each]
