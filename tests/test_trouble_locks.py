"""What the database asks to run again, and what it ends: deadlocks, locks that are not to be had, slow statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url, text

from outbox.testing import ThreadedFakeServer
from support.databases import Database
from support.roles import plain_role
from support.rows import put
from support.trouble import BODY, bore_it, complaints, stop, until_delivered
from support.waiting import eventually
from support.workers import environment, worker

# A row that every claim and every settle has to change, too.
TURNSTILE = {
    "postgresql": [
        "CREATE TABLE turnstile (passed integer)",
        "INSERT INTO turnstile VALUES (0)",
        """CREATE FUNCTION turn() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN UPDATE turnstile SET passed = passed + 1; RETURN NULL; END $$""",
        "CREATE TRIGGER turn AFTER UPDATE ON outbox_message FOR EACH ROW EXECUTE FUNCTION turn()",
    ],
    "mariadb": [
        "CREATE TABLE turnstile (passed integer)",
        "INSERT INTO turnstile VALUES (0)",
        """CREATE TRIGGER turn AFTER UPDATE ON outbox_message FOR EACH ROW
        UPDATE turnstile SET passed = passed + 1""",
    ],
}
WAITING = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    " AND query_start < clock_timestamp() - interval '200 ms'",
    "mariadb": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
}
DEADLOCKS = {
    "postgresql": "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
    "mariadb": "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'innodb_deadlocks'",
}
LOCK_WAITS = "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'innodb_row_lock_waits'"


def until_waiting(database: Database) -> None:
    """Wait until somebody waits for a lock. InnoDB shows news only to those who have not looked for 0.1 s."""
    eventually(lambda: ask(database, WAITING[database.kind]) >= 1, timeout=45, interval=0.3)


def ask(database: Database, question: str) -> int:
    """Ask the server for a number."""
    assert database.server is not None
    return int(database.server.execute(question, database=database.engine.url.database)[0][0])


@contextmanager
def turnstile_held(database: Database) -> Iterator[Connection]:
    """Hold up every claim and every settle; gives the connection that does."""
    assert database.server is not None
    database.server.execute(*TURNSTILE[database.kind], database=database.engine.url.database)
    with database.engine.connect() as connection, connection.begin():
        for _ in range(20):  # InnoDB gives up the transaction that has changed less
            connection.execute(text("UPDATE turnstile SET passed = passed + 1"))
        yield connection


@contextmanager
def role_with(database: Database, **defaults: str) -> Iterator[str]:
    """Give the URL of a role with defaults of its own, on PostgreSQL."""
    assert database.server is not None
    with plain_role(database) as url:
        if database.kind == "postgresql":
            role = make_url(url).username
            database.server.execute(*(f"ALTER ROLE {role} SET {name} = '{value}'" for name, value in defaults.items()))
        yield url


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_deadlock(database: Database, destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """A worker whose transaction is chosen to end a deadlock runs it again, and nobody hears of it."""
    put(database, 5, body=BODY)
    before = ask(database, DEADLOCKS[database.kind])
    # PostgreSQL gives up the transaction that finds the deadlock: the worker looks after 3 s, we never do.
    with role_with(database, deadlock_timeout="3s") as url, turnstile_held(database) as connection:
        if database.kind == "postgresql":
            connection.execute(text("SET LOCAL deadlock_timeout = '60s'"))
        with worker(tmp_path, environment(url, destination.url)) as steady:
            until_waiting(database)
            connection.execute(text("SELECT id FROM outbox_message FOR UPDATE"))
            connection.get_transaction().commit()  # type: ignore[union-attr]
            until_delivered(database, 5)
            stop(steady)
    eventually(lambda: ask(database, DEADLOCKS[database.kind]) > before)
    assert destination.count == 5
    assert complaints(steady) == []


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_a_lock_that_is_not_to_be_had(database: Database, destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """A claim that has waited too long for a lock (1205) is run again, and nobody hears of it."""
    put(database, 5, body=BODY)
    with plain_role(database) as url, turnstile_held(database) as connection:
        before = ask(database, LOCK_WAITS)
        with worker(tmp_path, environment(url, destination.url)) as steady:
            eventually(lambda: ask(database, LOCK_WAITS) >= before + 2, timeout=30)
            connection.get_transaction().commit()  # type: ignore[union-attr]
            until_delivered(database, 5)
            stop(steady)
    assert destination.count == 5
    assert complaints(steady) == []


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_lock_timeout_of_the_role(database: Database, destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """Where a role's lock timeout is short a claim is run again, a few times; then the worker says so, once."""
    put(database, 5, body=BODY)
    with (
        role_with(database, lock_timeout="50ms") as url,
        turnstile_held(database) as connection,
        worker(tmp_path, environment(url, destination.url)) as steady,
    ):
        steady.until("waiting:", timeout=30)
        assert database.server is not None
        log = database.server.log
        eventually(lambda: log.read_text(errors="replace").count("due to lock timeout") > 10, timeout=30)
        connection.get_transaction().commit()  # type: ignore[union-attr]
        until_delivered(database, 5)
        stop(steady)
    assert destination.count == 5
    assert "lock timeout" in bore_it(steady, most=1)[0]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_statement_timeout_of_the_role(database: Database, destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """A statement timeout that is meant for the application's requests does not end a worker's claim."""
    put(database, 5, body=BODY)
    with (
        role_with(database, statement_timeout="50ms") as url,
        turnstile_held(database) as connection,
        worker(tmp_path, environment(url, destination.url)) as steady,
    ):
        until_waiting(database)
        connection.get_transaction().commit()  # type: ignore[union-attr]
        until_delivered(database, 5)
        stop(steady)
    assert complaints(steady) == []
