"""What limits a worker's transactions: what the worker asks for, and what the database allows its user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, func, make_url, select, text

from outbox.schema import message
from outbox.store.engine import open_engine
from outbox.store.transactions import Transactions
from outbox.testing import ThreadedFakeServer
from support.databases import Database
from support.roles import plain_role
from support.rows import put
from support.trouble import BODY, complaints, stop, until_delivered
from support.workers import environment, run, worker

ONE_CONNECTION = {"postgresql": "CONNECTION LIMIT 1", "mariadb": "WITH MAX_USER_CONNECTIONS 1"}


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_one_connection_is_enough(database: Database, destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """A role that may connect only once carries a worker with 64 messages in flight."""
    put(database, 300, body=BODY)
    destination.script = "delay=50ms"
    with plain_role(database, ONE_CONNECTION[database.kind]) as url:
        settings = environment(url, destination.url, concurrency=64)
        with worker(tmp_path, settings) as lonely:
            until_delivered(database, 300)
            stop(lonely)
        drained = run(settings, "worker", "--drain")
    assert complaints(lonely) == []
    assert drained.returncode == 0, drained.stderr


SHOWN = {
    "postgresql": "SELECT name, setting FROM pg_settings WHERE name LIKE '%_timeout' OR name = 'transaction_isolation'",
    "mariadb": "SHOW VARIABLES",
}
LIMITS = {
    "postgresql": {
        "transaction_isolation": "read committed",
        "idle_in_transaction_session_timeout": "3500",
        "statement_timeout": "15000",
    },
    "mariadb": {
        "tx_isolation": "READ-COMMITTED",
        "idle_transaction_timeout": "3",
        "max_statement_time": "15.000000",
        "innodb_lock_wait_timeout": "2",
        "lock_wait_timeout": "2",
        "net_write_timeout": "3",
    },
}


def shown(connection: Connection) -> dict[str, str]:
    """The settings as they are inside a transaction."""
    rows = connection.execute(text(SHOWN[{"mysql": "mariadb"}.get(connection.dialect.name, connection.dialect.name)]))
    return {row[0]: row[1] for row in rows}


@pytest.fixture
def bounded(database: Database) -> Iterator[Engine]:
    """Give an engine as a worker has it."""
    engine = open_engine(database.url, idle_in_transaction=3.5)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_every_transaction_has_its_limits(database: Database, bounded: Engine) -> None:
    """Isolation and time limits are the worker's own, in each of its transactions, whatever the defaults are."""
    with closing(Transactions(bounded)) as transactions:
        for _ in range(7):
            found = transactions.run(shown)
            assert {name: found[name] for name in LIMITS[database.kind]} == LIMITS[database.kind]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_defaults_of_role_and_session_do_not_count(database: Database) -> None:
    """A role's own defaults neither shorten nor loosen a worker's transactions, and the session keeps none of ours."""
    defaults = {"default_transaction_isolation": "serializable", "statement_timeout": "50"}
    with plain_role(database) as url:
        name = make_url(url).username
        assert database.server is not None
        database.server.execute(*(f"ALTER ROLE {name} SET {each} = '{value}'" for each, value in defaults.items()))
        engine = open_engine(url, idle_in_transaction=3.5)
        with closing(Transactions(engine)) as transactions:
            found = transactions.run(shown)
        assert {each: found[each] for each in LIMITS["postgresql"]} == LIMITS["postgresql"]
        with closing(engine.raw_connection()) as raw, closing(raw.cursor()) as cursor:
            cursor.execute("SELECT current_setting('statement_timeout')")
            assert cursor.fetchone() == ("50ms",)
        engine.dispose()


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_bounded_transaction_is_a_transaction(database: Database, bounded: Engine) -> None:
    """It commits, it rolls back, and its savepoints roll back alone."""
    put(database, 1)
    erase = text("DELETE FROM outbox_message")

    def count(connection: Connection) -> int:
        return int(connection.execute(select(func.count()).select_from(message)).scalar_one())

    def fail(connection: Connection) -> None:
        connection.execute(erase)
        raise LookupError

    def fail_inside(connection: Connection) -> int:
        with pytest.raises(LookupError), connection.begin_nested():
            fail(connection)
        return count(connection)

    def succeed(connection: Connection) -> None:
        with connection.begin_nested():
            connection.execute(erase)

    with closing(Transactions(bounded)) as transactions:
        assert transactions.run(fail_inside) == 1
        with pytest.raises(LookupError):
            transactions.run(fail)
        assert transactions.run(count) == 1
        transactions.run(succeed)
        assert transactions.run(count) == 0
    with database.engine.connect() as connection:
        assert count(connection) == 0
