"""The worker as a process: killed, frozen, stopped, started too early, configured wrongly."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from sqlalchemy import func, make_url, select, text

from outbox.schema import message
from outbox.schema import worker as worker_table
from outbox.store.engine import write_transaction
from outbox.testing import ThreadedFakeServer
from support.databases import Database, build_schema
from support.rows import attempts, look, put
from support.servers import PostgresServer
from support.trouble import BODY, states, stop, until_delivered
from support.waiting import eventually
from support.workers import WorkerProcess, environment, run, worker


def test_killed_in_mid_batch(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """Of two workers one is killed while it sends: everything arrives; only what it had in flight may arrive twice."""
    ids = put(database, 400, body=BODY)
    destination.script = "delay=20ms"
    settings["OUTBOX_CONCURRENCY"] = "8"
    with worker(tmp_path, settings) as doomed, worker(tmp_path, settings) as survivor:
        destination.wait_for(60)
        doomed.signal(signal.SIGKILL)
        until_delivered(database, 400)
        stop(survivor)
    assert set(destination.keys) == {str(each) for each in ids}
    twice = sum(count - 1 for count in destination.keys.values())
    # What the promise has: in flight, and three outcomes for each sender that wait or are being written (decision 0006).
    assert twice < 4 * 8, "more than can be in flight and not settled"
    assert destination.changed == frozenset()
    assert attempts(database, ids[0]) == []


def test_frozen_beyond_its_lease(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """A worker frozen after its POST and continued beyond its lease changes nothing that another has settled."""
    (identity,) = put(database, body=BODY)
    destination.script = "per-key: ok delay=300ms, ok"
    with worker(tmp_path, settings) as frozen:
        destination.wait_for(1)
        _freeze(frozen, database)
        with worker(tmp_path, settings) as second:
            until_delivered(database, 1)
            settled = look(database, identity)
            frozen.signal(signal.SIGCONT)
            frozen.until("lease lost")
            stop(second)
        stop(frozen)
        assert "1 lease lost" in frozen.text
    assert look(database, identity) == settled
    assert destination.keys[str(identity)] == 2


def _freeze(process: WorkerProcess, database: Database) -> None:
    """Stop it, but not inside a transaction: on SQLite that would hold up everybody."""
    with write_transaction(database.engine.connect()) as connection, connection.begin():
        process.signal(signal.SIGSTOP)


def test_stopped_while_busy(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """A stop in a backlog finishes what is in flight and gives back the rest: nothing twice, nothing charged."""
    put(database, 300, body=BODY)
    destination.script = "delay=50ms"
    settings["OUTBOX_CONCURRENCY"] = "8"
    for _ in range(5):
        with worker(tmp_path, settings) as stopped:
            destination.wait_for(destination.count + 20)
            stop(stopped)
    destination.script = "ok"
    with worker(tmp_path, settings) as last:
        until_delivered(database, 300)
        stop(last)
    assert destination.count == 300
    with database.engine.connect() as connection:
        assert connection.execute(select(func.max(message.c.attempts), func.max(message.c.lost))).one() == (0, 0)


def test_stopped_while_idle(database: Database, settings: dict[str, str], tmp_path: Path) -> None:
    """An idle worker shows itself among the living, and ends within half a second of the signal."""
    with worker(tmp_path, settings) as idle:
        eventually(lambda: _living(database) == 1)
        began = time.monotonic()
        stop(idle)
        assert time.monotonic() - began < 0.5
    assert _living(database) == 0


def _living(database: Database) -> int:
    with database.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(worker_table)).scalar_one()


def test_the_drain_time_ends(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """A try that outlives the drain time is cut off: it is due again at once, uncharged, and on record as unknown."""
    (identity,) = put(database, body=BODY)
    destination.script = "hang"
    slow = settings | {"OUTBOX_TRY_TIMEOUT": "30s", "OUTBOX_LEASE": "60s", "OUTBOX_DRAIN_TIMEOUT": "200ms"}
    with worker(tmp_path, slow) as stopped:
        destination.wait_for(1)
        stop(stopped)
    row = look(database, identity)
    assert (row.state, row.attempts, row.lost, row.claimed_until) == ("pending", 0, 0, None)
    assert [(each.certainty, each.error) for each in attempts(database, identity)] == [
        ("unknown", "cut off by the worker's shutdown")
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_second_signal(
    database: Database,
    settings: dict[str, str],
    destination: ThreadedFakeServer,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    """The second signal ends the process at once with 128 + n, in the middle of a try."""
    put(database, body=BODY)
    destination.script = "hang"
    slow = settings | {"OUTBOX_TRY_TIMEOUT": "30s", "OUTBOX_LEASE": "60s", "OUTBOX_DRAIN_TIMEOUT": "30s"}
    with worker(tmp_path, slow) as stubborn:
        destination.wait_for(1)
        stubborn.signal(number)
        stubborn.until("stopping")
        # One that follows at once counts as the same: timeout(1) signals its child twice.
        stubborn.signal(number)
        assert not stubborn.ended_within(0.2)
        stubborn.signal(number)
        assert stubborn.wait(1.0) == 128 + number


def test_started_before_the_tables_are_there(
    empty_database: Database, destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """Without its tables a worker says so and waits; a drain exits 4; after `db upgrade` the waiting one delivers."""
    settings = environment(empty_database.url, destination.url)
    drained = run(settings, "worker", "--drain")
    assert drained.returncode == 4
    assert drained.stderr.splitlines()[-1].endswith("outbox db upgrade")
    with worker(tmp_path, settings) as early:
        early.until("outbox db upgrade")
        assert run(settings, "db", "upgrade").returncode == 0
        put(empty_database, body=BODY)
        destination.wait_for(1, timeout=30)
        stop(early)
    assert early.text.count("waiting:") == 1, "said once, not a line a second"


def test_started_before_the_database(destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """A worker waits for a database that does not answer, and survives its sudden end; one that drains exits 69."""
    with PostgresServer() as server:
        url = server.create_database("late")
        build_schema(url)
        settings = environment(url, destination.url)
        server.stop()
        once = run(settings, "worker", "--once")
        assert once.returncode == 69
        assert "Traceback" not in once.stderr
        with worker(tmp_path, settings) as patient:
            patient.until("waiting:")
            server.start()
            database = Database("postgresql", url, server)
            put(database, body=BODY)
            destination.wait_for(1, timeout=30)
            database.engine.dispose()
            server.kill()
            patient.until("waiting:", timeout=15)
            server.start()
            put(database, body=BODY)
            destination.wait_for(2, timeout=15)
            until_delivered(database, 2)
            stop(patient)
            database.dispose()
    assert patient.text.count("waiting:") <= 4
    assert "the database works again" in patient.text


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"OUTBOX_LEASE": "1500ms"}, "OUTBOX_LEASE is 1.5s, shorter than twice OUTBOX_TRY_TIMEOUT, which is 1s"),
        ({"OUTBOX_PAUSE_FIRST": "2m"}, "OUTBOX_PAUSE_FIRST is 2m, longer than OUTBOX_PAUSE_LONGEST, which is 1m"),
        ({"OUTBOX_LEASE": "soon"}, "OUTBOX_LEASE: 'soon' cannot be used"),
        ({"OUTBOX_DATABASE_URL": "oracle://u:hunter2@h/d"}, "names the database 'oracle'"),
        ({"OUTBOX_DATABASE_URL": "hunter2"}, "OUTBOX_DATABASE_URL is not a database URL"),
        ({"OUTBOX_DATABASE_URL": ""}, "OUTBOX_DATABASE_URL is not set"),
        ({"OUTBOX_ENDPOINT": "ftp://127.0.0.1/"}, "OUTBOX_ENDPOINT"),
    ],
)
def test_configured_wrongly(settings: dict[str, str], changes: dict[str, str], words: str) -> None:
    """A setting that cannot be right ends the worker with 78 and one line that names it, and no password."""
    done = run(settings | changes, "worker")
    assert done.returncode == 78
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_misspelt_variable_is_named(settings: dict[str, str]) -> None:
    """A variable that means nothing to the outbox is pointed out, with what was probably meant."""
    done = run(settings | {"OUTBOX_CONCURENCY": "5"}, "worker", "--once")
    assert done.returncode == 0
    assert "OUTBOX_CONCURENCY is not a setting of the outbox (did you mean OUTBOX_CONCURRENCY?)" in done.stderr


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_statement_that_fails_after_the_post(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """While settles fail nothing more is sent; when they work again what was sent is settled, and sent once."""
    ids = put(database, 200, body=BODY)
    destination.script = "delay=20ms"
    settings |= {"OUTBOX_CONCURRENCY": "4", "OUTBOX_LEASE": "60s"}
    with worker(tmp_path, settings) as steady:
        destination.wait_for(20)
        with database.engine.begin() as connection:
            connection.execute(text("ALTER TABLE outbox_message RENAME COLUMN last_status TO hidden"))
        steady.until("waiting:")
        eventually(lambda: _is_quiet(destination), timeout=10)
        assert destination.count < 200
        with database.engine.begin() as connection:
            connection.execute(text("ALTER TABLE outbox_message RENAME COLUMN hidden TO last_status"))
        until_delivered(database, 200)
        stop(steady)
    assert destination.keys == {str(each): 1 for each in ids}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_drain_that_cannot_settle(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer
) -> None:
    """A drain whose outcomes the database does not take ends with the reason instead of waiting for ever."""
    put(database, 3, body=BODY)
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE outbox_message ADD CONSTRAINT no CHECK (state = 'pending')"))
    done = run(settings, "worker", "--drain")
    assert done.returncode == 1
    assert destination.count == 3
    assert "The database refused a statement" in done.stderr.splitlines()[-1]


def test_a_database_that_ends_in_mid_drain(destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """When the database ends while a drain has POSTs in flight, the drain ends too, with 69; nothing is left hanging."""
    with PostgresServer() as server:
        url = server.create_database("shop")
        build_schema(url)
        database = Database("postgresql", url, server)
        put(database, 50, body=BODY)
        database.dispose()
        destination.script = "delay=50ms"
        settings = environment(url, destination.url, concurrency=4, lease="60s")
        with worker(tmp_path, settings, "--drain") as drained:
            destination.wait_for(5)
            server.kill()
            assert drained.wait(60) == 69
    assert "could not be recorded" in drained.text


def test_stopped_while_the_database_is_down(destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """With nothing in flight a stop does not wait out the drain time, though nothing can be given back."""
    with PostgresServer() as server:
        url = server.create_database("shop")
        build_schema(url)
        settings = environment(url, destination.url, drain_timeout="60s")
        with worker(tmp_path, settings) as idle:
            idle.until("concurrency")
            server.kill()
            idle.until("waiting:", timeout=20)
            began = time.monotonic()
            stop(idle)
            assert time.monotonic() - began < 20


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_file_that_is_not_there(settings: dict[str, str], tmp_path: Path) -> None:
    """A mistyped path is not created: a drain exits 4 and names it."""
    path = tmp_path / "typo.db"
    done = run(settings | {"OUTBOX_DATABASE_URL": f"sqlite:///{path}"}, "worker", "--drain")
    assert done.returncode == 4
    assert f"There is no database file {path}" in done.stderr
    assert not path.exists()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_missing_right(database: Database, destination: ThreadedFakeServer) -> None:
    """A worker whose database user may not do its work ends with 78 and says what is missing."""
    with database.engine.begin() as connection:
        connection.execute(text("CREATE ROLE half LOGIN PASSWORD 'hunter2'"))
        connection.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO half"))
    try:
        put(database, body=BODY)
        url = make_url(database.url).set(username="half", password="hunter2").render_as_string(hide_password=False)
        done = run(environment(url, destination.url), "worker")
    finally:
        with database.engine.begin() as connection:
            connection.execute(text("DROP OWNED BY half"))
            connection.execute(text("DROP ROLE half"))
    assert done.returncode == 78
    assert "permission denied for table outbox_message" in done.stderr
    assert "hunter2" not in done.stderr


def _is_quiet(destination: ThreadedFakeServer) -> bool:
    """Whether nothing arrives for as long as a sender would need for several POSTs."""
    before = destination.count
    time.sleep(0.3)
    return destination.count == before


def test_poison(database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """A message that kills its worker is failed after exactly three deaths; its batch mates are delivered, uncharged."""
    poison, *mates = put(database, 6, body=BODY)
    destination.script = f"key={poison}: hang; ok"
    settings |= {"OUTBOX_LEASE": "2s", "OUTBOX_TRY_TIMEOUT": "1s"}
    for deaths in range(1, 4):
        with worker(tmp_path, settings) as victim:
            eventually(lambda: destination.keys[str(poison)] == deaths, timeout=20)  # noqa: B023 - called at once
            victim.signal(signal.SIGKILL)
            victim.wait()
    with worker(tmp_path, settings) as last:
        eventually(lambda: look(database, poison).state == "failed", timeout=20)
        eventually(lambda: states(database) == {"failed": 1, "delivered": 5}, timeout=20)
        stop(last)
    assert look(database, poison).failure_reason == "worker_lost"
    assert destination.keys[str(poison)] == 3
    assert {look(database, mate).attempts for mate in mates} == {0}
