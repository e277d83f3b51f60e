"""Database trouble: what is repeated, what is explained, and what is a fault of ours."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from outbox.errors import ConfigurationError, DatabaseUnreachable, SchemaOutdated
from outbox.producer.ids import uuid7
from outbox.schema import worker
from outbox.store import Store
from outbox.store.engine import open_engine
from outbox.store.requirements import require_file
from outbox.store.transactions import Transactions
from outbox.store.trouble import explain, explained, is_repeatable
from outbox.store.url import synchronous_url
from support.databases import Database
from support.rows import look, put

DEADLOCK = {
    "postgresql": "DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$",
    "mariadb": "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found'",
}


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_deadlock_is_run_again(database: Database) -> None:
    """A transaction that the database asks to repeat is run again, from its beginning."""
    (identity,) = put(database)
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        connection.execute(text("UPDATE outbox_message SET attempts = attempts + 1"))
        if len(runs) < 3:
            connection.exec_driver_sql(DEADLOCK[database.kind])

    with closing(Transactions(database.engine)) as transactions:
        transactions.run(work)
    assert len(runs) == 3
    assert look(database, identity).attempts == 1


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_deadlock_without_end_is_shown(database: Database) -> None:
    """After some repeats the database's error is the caller's."""
    with closing(Transactions(database.engine)) as transactions, pytest.raises(DBAPIError) as caught:
        transactions.run(lambda connection: connection.exec_driver_sql(DEADLOCK[database.kind]))
    assert is_repeatable(caught.value)


def test_missing_tables_are_explained(empty_database: Database) -> None:
    """Without our tables the database's error becomes the command that creates them."""
    with pytest.raises(SchemaOutdated, match="outbox db upgrade"), explained(empty_database.engine):
        put(empty_database)


def test_a_fault_of_ours_is_not_explained_away(database: Database) -> None:
    """A statement that is wrong stays the error that it is."""
    with (
        pytest.raises(DBAPIError),
        explained(database.engine),
        database.engine.connect() as connection,
    ):
        connection.execute(text("SELECT nonsense("))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:hunter2@127.0.0.1:9/shop",
        "mysql://app:hunter2@127.0.0.1:9/shop",
        "sqlite:////nowhere/to/be/found.db",
    ],
)
def test_an_unreachable_database_is_explained(url: str) -> None:
    """A database that does not answer is one line with its URL, without the password."""
    engine = open_engine(url)
    with pytest.raises(DatabaseUnreachable) as caught, explained(engine):
        engine.connect()
    assert "cannot be used" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    engine.dispose()


def test_a_file_that_is_no_database_is_explained(tmp_path: Path) -> None:
    """A file of something else is named, and is no traceback."""
    path = tmp_path / "notes.db"
    path.write_text("these are only notes, and long enough to be looked at as a header of a database file\n" * 20)
    engine = open_engine(f"sqlite:///{path}")
    with (
        pytest.raises(DatabaseUnreachable, match=f"{path} is damaged, or is no SQLite database"),
        explained(engine),
        engine.connect() as connection,
    ):
        connection.execute(text("SELECT 1 FROM outbox_message"))
    engine.dispose()


def test_a_database_in_memory_is_refused() -> None:
    """What only this process would see is no place for an outbox."""
    with pytest.raises(ConfigurationError, match="in memory"):
        require_file(synchronous_url("sqlite://"), create=True)


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_refused_login_is_explained(database: Database) -> None:
    """A login that the server refuses is the same: one line, exit code 69, no password."""
    engine = open_engine(database.app_url("psycopg" if database.kind == "postgresql" else "pymysql"))
    wrong = open_engine(
        engine.url.set(username="nobody_here", password="hunter2").render_as_string(hide_password=False)
    )
    with pytest.raises(DBAPIError) as caught:
        wrong.connect()
    explanation = explain(caught.value, wrong)
    assert isinstance(explanation, DatabaseUnreachable)
    assert "hunter2" not in str(explanation)
    wrong.dispose()


def test_error_texts_hold_no_values(database: Database) -> None:
    """SQLAlchemy's own text of an error of ours does not repeat what was bound: people's data."""
    with pytest.raises(DBAPIError) as caught:
        put(database, body="canary", state="no such state")
    assert "canary" not in str(caught.value)


def test_the_living(database: Database) -> None:
    """A worker is listed once while it lives, however often it says so, and not afterwards."""
    identity = uuid7()
    with closing(Store(database.engine)) as store:
        for _ in range(3):
            store.heartbeat(identity, "host", 1, "0")
        with database.engine.connect() as connection:
            rows = connection.execute(select(worker)).all()
        assert [(row.id, row.host, row.pid) for row in rows] == [(identity, "host", 1)]
        store.farewell(identity)
    with database.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(worker)).scalar() == 0
