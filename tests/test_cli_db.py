"""`outbox db`: what an operator types, reads and gets as exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from outbox.cli import run
from outbox.schema import VERSION_TABLE
from outbox.schema.version import HEAD
from outbox.store.engine import open_engine
from support.commands import Console, add, at_a_terminal
from support.databases import Database
from support.servers import PASSWORD
from support.servers.ports import free_port


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], empty_database: Database) -> Console:
    """`outbox …` against a database without tables."""
    return Console(capsys, empty_database)


def test_upgrade_says_what_it_did_and_then_that_nothing_is_to_do(outbox: Console) -> None:
    """The first run names both versions, the second one is idempotent, both exit 0; no password is shown."""
    first, second = outbox("db", "upgrade"), outbox("db", "upgrade")
    assert (first.code, second.code) == (0, 0)
    assert first.out.startswith("Upgraded ")
    assert first.out.endswith(f" from none to {HEAD}\n")
    assert second.out.endswith(f" is already at {HEAD}\n")
    assert first.err == second.err == ""
    assert PASSWORD not in first.out + second.out


def test_current_tells_whether_the_database_is_at_the_head(outbox: Console) -> None:
    """Without tables `current` says none; `--check-heads` exits 4 until the upgrade, then 0."""
    if outbox.database.kind == "sqlite":
        Path(str(outbox.database.engine.url.database)).touch()
    before = outbox("db", "current", "--check-heads")
    assert (before.code, before.out) == (4, f"none (head is {HEAD})\n")
    assert outbox("db", "current").code == 0
    assert outbox("db", "current", "--json").json == {"current": [], "head": [HEAD], "at_head": False}
    outbox("db", "upgrade")
    after = outbox("db", "current", "--check-heads")
    assert (after.code, after.out) == (0, f"{HEAD} (head)\n")
    assert outbox("db", "current", "--json").json == {"current": [HEAD], "head": [HEAD], "at_head": True}


def test_downgrade_off_a_terminal_refuses_without_yes(outbox: Console) -> None:
    """It destroys messages: the refusal says how many, and nothing is changed."""
    outbox("db", "upgrade")
    add(outbox.database)
    add(outbox.database, state="failed")
    refused = outbox("db", "downgrade", "base")
    assert refused.code == 2
    assert "1 failed, 1 pending" in refused.err
    assert "--yes" in refused.err
    assert outbox("db", "current").out == f"{HEAD} (head)\n"
    done = outbox("db", "downgrade", "base", "--yes")
    assert done.code == 0
    assert done.out.endswith(f" from {HEAD} to none\n")
    assert "outbox_message" not in inspect(outbox.database.engine).get_table_names()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, True), ("y", 0, False)])
def test_downgrade_on_a_terminal_asks(database: Database, answer: str, code: int, left: bool) -> None:  # noqa: FBT001 - parametrised
    """A person is asked, with the count in the question, and their no changes nothing."""
    add(database)
    ended, screen = at_a_terminal(answer, "db", "downgrade", "base", "--database-url", database.url)
    assert ended == code
    assert "1 pending" in screen
    assert ("Nothing was changed" in screen) == left
    assert ("outbox_message" in inspect(database.engine).get_table_names()) == left


def test_stamp_records_without_running_anything(outbox: Console) -> None:
    """The version is recorded, the tables are not made."""
    if outbox.database.kind == "sqlite":
        Path(str(outbox.database.engine.url.database)).touch()
    stamped = outbox("db", "stamp", "head")
    assert stamped.code == 0
    assert stamped.out.startswith("Stamped ")
    assert inspect(outbox.database.engine).get_table_names() == [VERSION_TABLE]


def test_sql_touches_no_database(outbox: Console) -> None:
    """`--sql` prints both ways for the URL's kind of database, and the database stays empty."""
    up, down = outbox("db", "upgrade", "--sql"), outbox("db", "downgrade", "base", "--sql")
    ranged = outbox("db", "upgrade", f"base:{HEAD}", "--sql")
    assert (up.code, down.code, up.err, down.err) == (0, 0, "", "")
    assert "CREATE TABLE outbox_message" in up.out
    assert f"INSERT INTO {VERSION_TABLE}" in up.out
    assert ranged.out == up.out
    assert "DROP TABLE IF EXISTS outbox_message" in down.out
    assert ("fillfactor" in up.out) == (outbox.database.kind == "postgresql")
    assert ("MEDIUMTEXT" in up.out) == (outbox.database.kind == "mariadb")
    assert inspect(outbox.database.engine).get_table_names() == []


@pytest.mark.parametrize("empty_database", ["sqlite"], indirect=True)
def test_a_look_makes_no_file(outbox: Console) -> None:
    """A mistyped name is told, not answered with a new and empty SQLite file."""
    file = Path(str(outbox.database.engine.url.database))
    for verb in (["current"], ["stamp", "head"], ["downgrade", "base", "--yes"]):
        ran = outbox("db", *verb)
        assert ran.code == 4
        assert f"There is no database file {file}" in ran.err
        assert not file.exists()


def test_history_lists_the_revisions(capsys: pytest.CaptureFixture[str]) -> None:
    """It needs no database."""
    assert run(["db", "history"]) == 0
    assert HEAD in capsys.readouterr().out
    assert run(["db", "history", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert first == {"revision": "0001", "before": None, "summary": "The outbox's tables"}


def test_an_unknown_revision_is_a_mistake_of_usage(outbox: Console) -> None:
    """It is refused before the database is opened."""
    for verb in ("upgrade", "downgrade", "stamp"):
        ran = outbox("db", verb, "0999")
        assert ran.code == 2
        assert "'0999' is no revision" in ran.err


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_an_unreachable_database_is_one_line(scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 69, the address in the line, neither password nor traceback."""
    url = f"{scheme}://app:{PASSWORD}@127.0.0.1:{free_port()}/shop"
    assert run(["db", "upgrade", "--database-url", url]) == 69
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "127.0.0.1" in shown
    assert PASSWORD not in shown


@pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)
def test_a_role_without_rights_gets_one_line(outbox: Console, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 78, what the server said, and the way out."""
    database = outbox.database
    assert database.server is not None
    database.server.execute("DROP ROLE IF EXISTS visitor", "CREATE ROLE visitor LOGIN PASSWORD 'visitor'")
    url = database.engine.url.set(username="visitor", password="visitor").render_as_string(hide_password=False)
    assert run(["db", "upgrade", "--database-url", url]) == 78
    shown = capsys.readouterr().err
    assert "permission denied" in shown
    assert "outbox db upgrade --sql" in shown
    assert "Traceback" not in shown


def test_a_read_only_file_gets_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A SQLite file that cannot be written is named as such."""
    file = tmp_path / "outbox.db"
    engine = open_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE mine (id INTEGER)"))
    engine.dispose()
    assert run(["db", "upgrade", "--database-url", f"sqlite:///file:{file}?mode=ro&uri=true"]) == 78
    shown = capsys.readouterr().err
    assert "readonly" in shown
    assert "Traceback" not in shown
