"""The rights of docs/databases.md: each role does all that is its own with what the page grants, and nothing else."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from click import Context
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

import outbox
from outbox.cli import outbox as group
from outbox.schema import utc_after
from outbox.store.engine import open_engine
from outbox.testing import ThreadedFakeServer
from outbox.worker import purging
from support.commands import MINIMAL, Console, add, add_attempt, rows
from support.databases import Database
from support.events import body
from support.keeping import DAY, add_key, keys, settled, work_until
from support.roles import APPLICATION, OPERATOR, PURGES, WORKER, role
from support.rows import put
from support.waiting import eventually
from support.workers import environment, worker

pytestmark = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)

NOT_AN_OPERATORS = {"worker", "db", "config", "completion", "demo", "fake-server", "health", "systemd", "version"}
"""Commands that are another role's, or use no database."""


def test_what_an_application_does(database: Database) -> None:
    """It enqueues, one and many, with a key against duplicates and without; a repeat writes nothing. It reads no event."""
    with role(database, APPLICATION) as url:
        engine = create_engine(url)
        with Session(engine) as session, session.begin():
            outbox.enqueue(session, body("minimal"))
            outbox.enqueue_many(session, [body("minimal")] * 3)
            first = outbox.enqueue(session, body("minimal"), dedup_key="order 7")
        with Session(engine) as session, session.begin():
            assert outbox.enqueue(session, body("minimal"), dedup_key="order 7", ordering_key="order") == first
        with engine.connect() as connection, pytest.raises(DBAPIError, match="denied"):
            connection.exec_driver_sql("SELECT body FROM outbox_message")
        engine.dispose()
    assert len(rows(database)) == 5


def test_keys_alone_need_the_right_to_keys(database: Database) -> None:
    """Without the line for `outbox_dedup` all else is enqueued."""
    with role(database, APPLICATION) as url:
        name = url.partition("://")[2].partition(":")[0]
        assert database.server is not None
        database.server.execute(
            f"REVOKE {'ALL' if database.kind == 'postgresql' else 'SELECT, INSERT, UPDATE'} ON outbox_dedup FROM {name}",
            database=database.engine.url.database,
        )
        engine = create_engine(url)
        with Session(engine) as session, session.begin():
            outbox.enqueue(session, body("minimal"))
        with Session(engine) as session, pytest.raises(DBAPIError, match="denied"):
            outbox.enqueue(session, body("minimal"), dedup_key="order 7")
        engine.dispose()
    assert len(rows(database)) == 1


def _states(database: Database) -> Counter[str]:
    return Counter(row.state for row in rows(database))


def _works(database: Database, url: str, destination: ThreadedFakeServer, folder: Path) -> str:
    """Run a worker through everything that it meets: failures, a pause and its probe, keys. Gives its log."""
    bad = MINIMAL.replace(json.loads(MINIMAL)["event"]["name"], "bad")
    put(database, 20, body=MINIMAL)
    put(database, 5, body=MINIMAL, ordering_key="order 7")
    put(database, body=bad, name="bad")
    destination.script = "name=bad: 400; 500 x8, ok"
    given = environment(
        url, destination.url, pause_after=2, pause_first="50ms", pause_longest="100ms", concurrency=2, rate="200/s"
    )
    with worker(folder, given) as process:
        eventually(lambda: _states(database) == {"delivered": 25, "failed": 1}, timeout=30)
        process.until("is being sent to again")
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
    return process.text


def test_what_a_worker_does(database: Database, destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """It delivers, records what failed, follows a key, pauses a destination and probes it, and says that it lives."""
    with role(database, WORKER) as url:
        log = _works(database, url, destination, tmp_path)
    assert "lacks a right" not in log
    assert "waiting:" not in log


def test_what_a_worker_does_that_removes(
    database: Database,
    destination: ThreadedFakeServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Messages with their attempts, bodies, keys against duplicates: what is too old goes."""
    monkeypatch.setattr(purging, "FIRST_SECONDS", 0.0)
    delivered, failed, young = settled(database, 8), settled(database, 100, "failed"), settled(database, 2)
    add_attempt(database, failed)
    add_key(database, "old", delivered, 31)
    with role(database, WORKER, PURGES) as url:
        engine = open_engine(url)

        def is_over() -> bool:
            return not keys(database) and [(row.id, row.body) for row in rows(database)] == [(young, "")]

        work_until(database, destination.url, is_over, engine, keep_body=DAY)
        engine.dispose()
    assert "lacks a right" not in caplog.text


def _some_of_all(database: Database) -> tuple[list[UUID], UUID]:
    """Add messages of each state, some of a person's, and keys. Gives the failed ones, and an old delivered one."""
    failed = [add(database, state="failed", last_status=400) for _ in range(6)]
    for each in failed:
        add_attempt(database, each, response="no account anna_7")
    add(database, due_at=utc_after(3600))
    delivered = settled(database, 3)
    add_key(database, "anna_7", delivered, 40)
    add_key(database, "old", failed[0], 40)
    return failed, delivered


def _repairs(failed: list[UUID], event: Path) -> Iterator[tuple[object, ...]]:
    """Commands that change something, in an order in which each finds something to change."""
    change = ("--set", "properties.plan=pro")
    yield ("send-test",)
    yield "retry", failed[0], "--reason", "repaired"
    yield "edit", failed[1], *change
    yield "edit", "--error", "refused", *change, "--dry-run"
    yield "discard", failed[2]
    yield "discard", "--state", "pending", "--name", "document_*", "--yes"
    yield "pause", "--for", "1h", "--reason", "their maintenance"
    yield "enqueue", event, "--dedup-key", "anna_7 again", "--ordering-key", "anna_7"
    yield "forget", "--identity", "anna_7", "--yes"
    yield ("resume",)
    yield "retry", "--all", "--yes", "--rate", "1000/s"
    yield "purge", "--state", "delivered", "--older-than", "2d", "--yes"
    yield "purge", "--state", "failed", "--older-than", "0s", "--yes"
    yield "purge", "--dedup", "--older-than", "30d", "--yes"


def _looks(shown: UUID) -> Iterator[tuple[object, ...]]:
    yield ("status",)
    yield "check", "--failed-warn", "none", "--failed-crit", "none"
    yield "list", "--csv"
    yield "failed", "--by", "error"
    yield "show", shown
    yield ("doctor",)


def test_what_an_operator_does(
    database: Database,
    destination: ThreadedFakeServer,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every command that uses the database, each to its end; those that change many by a filter, too."""
    monkeypatch.setenv("OUTBOX_ENDPOINT", destination.url)
    monkeypatch.setenv("OUTBOX_PROJECT_ID", "project")
    failed, delivered = _some_of_all(database)
    event = tmp_path / "event.json"
    event.write_text(json.dumps(body("minimal") | {"identity": {"unique_identifier": "anna_7"}}))
    done = set()
    with role(database, OPERATOR) as url, worker(tmp_path, environment(database.url, destination.url)) as running:
        running.until("concurrency")
        console = Console(capsys, Database(database.kind, url, database.server))
        for command in (*_looks(failed[0]), *_repairs(failed, event)):
            ran = console(*command)
            # A server for tests is not durable, which the doctor calls a problem.
            assert ran.code in ({0, 1} if command[0] == "doctor" else {0}), (command, ran)
            assert "lacks a right" not in ran.out + ran.err
            done.add(command[0])
    assert done == {*group.list_commands(Context(group))} - NOT_AN_OPERATORS
    assert delivered not in {row.id for row in rows(database)}
    assert "old" not in keys(database)
