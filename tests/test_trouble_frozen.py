"""A worker that is frozen inside a transaction: the rows that it has locked are not lost to the others."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from outbox.testing import ThreadedFakeServer
from support.databases import Database
from support.rows import put
from support.trouble import BODY, complaints, stop, until_delivered
from support.waiting import eventually
from support.workers import worker

# A gate that every claim passes after its UPDATE, and at which it can be held. The statement waits, not a lock: a
# lock's time limit would end it.
GATE = {
    "postgresql": [
        "CREATE TABLE gate ()",
        """CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN WHILE EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.02); END LOOP; RETURN NULL; END $$""",
        "CREATE TRIGGER gate AFTER UPDATE ON outbox_message FOR EACH ROW EXECUTE FUNCTION pass()",
    ],
    "mariadb": [
        """CREATE TRIGGER gate AFTER UPDATE ON outbox_message FOR EACH ROW
        BEGIN DO GET_LOCK('gate', 60); DO RELEASE_LOCK('gate'); END""",
    ],
}
IS_HELD = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE state = 'User lock'",
}
IS_IDLE_IN_TRANSACTION = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE 'UPDATE%'",
    "mariadb": "SELECT count(*) FROM information_schema.innodb_trx JOIN information_schema.processlist"
    " ON id = trx_mysql_thread_id WHERE command = 'Sleep' AND trx_rows_modified",
}


@contextmanager
def held_at_the_gate(database: Database) -> Iterator[None]:
    """Hold every claim after its UPDATE, inside its transaction, until the block ends."""
    assert database.server is not None
    database.server.execute(*GATE[database.kind], database=database.engine.url.database)
    with database.engine.connect() as connection:
        if database.kind == "postgresql":
            connection.execute(text("INSERT INTO gate DEFAULT VALUES"))
        else:
            connection.execute(text("DO GET_LOCK('gate', 0)"))
        connection.commit()
        yield
        connection.execute(text("DELETE FROM gate" if database.kind == "postgresql" else "DO RELEASE_LOCK('gate')"))
        connection.commit()


def count(database: Database, question: dict[str, str]) -> int:
    """Ask the server what its connections are doing."""
    assert database.server is not None
    return int(database.server.execute(question[database.kind])[0][0])


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_frozen_in_the_middle_of_a_claim(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """Rows that a stopped worker has locked are delivered by another; the first one comes back by itself."""
    put(database, 5, body=BODY)
    settings["OUTBOX_LEASE"] = "4s"
    with worker(tmp_path, settings) as frozen:
        with held_at_the_gate(database):
            eventually(lambda: count(database, IS_HELD) == 1, timeout=30)
            frozen.signal(signal.SIGSTOP)
        # InnoDB shows news only to those who have not looked for 0.1 s.
        eventually(lambda: count(database, IS_IDLE_IN_TRANSACTION) == 1, interval=0.15)
        with worker(tmp_path, settings) as second:
            until_delivered(database, 5)
            stop(second)
        frozen.signal(signal.SIGCONT)
        put(database, body=BODY)
        until_delivered(database, 6)
        stop(frozen)
    assert destination.count == 6
    assert len(complaints(frozen)) == 1
    assert complaints(second) == []
