"""An idle worker is woken by a commit; where it is not, it finds by itself what was committed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.orm import Session

import outbox
from outbox.store.commits import commits
from outbox.store.engine import open_engine
from outbox.testing import ThreadedFakeServer
from support.applications import event
from support.databases import Database
from support.events import body
from support.queries import Counter
from support.servers import PgBouncer, PostgresServer, ServerMissing
from support.trouble import until_delivered
from support.waiting import eventually
from support.waiting_worker import waiting_worker
from support.workers import environment, worker

SECRET = "whsec_" + b64encode(bytes(24)).decode()
ON_POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
LISTENERS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = '{}'"


@pytest.fixture
def wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what this process enqueues wake workers, each event anew."""
    monkeypatch.setenv("OUTBOX_WAKE", "on")
    monkeypatch.setattr("outbox.producer.wake.QUIET_SECONDS", 0.0)


def enqueue(database: Database, *, destination: str = "overcentric") -> None:
    engine = create_engine(database.url)
    with Session(engine) as session, session.begin():
        outbox.enqueue(session, event() if destination == "overcentric" else body("minimal"), destination=destination)
    engine.dispose()


@pytest.fixture(params=["delete", "truncate", "persist", "wal"])
def journal(request: pytest.FixtureRequest, database: Database) -> Iterator[str]:
    """Give the file a journal mode, where an application keeps it open."""
    path = make_url(database.url).database
    assert path is not None
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {request.param}")
        yield request.param


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_commit_wakes_a_worker_on_sqlite(database: Database, journal: str, destination: ThreadedFakeServer) -> None:
    """In whatever journal mode, and time after time, a minute before the next look by the clock."""
    with waiting_worker(database.url, destination.url, wake="off") as idle:
        for count in (1, 2, 3):
            idle.wait_long()
            enqueue(database)
            destination.wait_for(count, timeout=10)
            until_delivered(database, count)


@ON_POSTGRESQL
def test_a_commit_wakes_a_worker_on_postgresql(
    database: Database, destination: ThreadedFakeServer, wakes: None
) -> None:
    """By its NOTIFY, a minute before the next look by the clock."""
    with waiting_worker(database.url, destination.url) as idle:
        for count in (1, 2, 3):
            idle.wait_long()
            enqueue(database)
            destination.wait_for(count, timeout=10)
            until_delivered(database, count)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_worker_that_works_is_not_kept_awake_by_itself(database: Database, destination: ThreadedFakeServer) -> None:
    """What it writes itself wakes it, too, but a look writes nothing: it comes to rest."""
    with waiting_worker(database.url, destination.url) as idle:
        enqueue(database)
        until_delivered(database, 1)
        idle.wait_long()


@ON_POSTGRESQL
def test_who_sends_no_notification_is_found_by_polling(database: Database, destination: ThreadedFakeServer) -> None:
    """Lost, or never sent: the next look finds what was committed."""
    with waiting_worker(database.url, destination.url) as idle:
        eventually(lambda: idle.is_idle)
        enqueue(database)
        destination.wait_for(1, timeout=10)


@ON_POSTGRESQL
def test_a_listener_that_was_cut_off_listens_again(
    database: Database, destination: ThreadedFakeServer, wakes: None
) -> None:
    """Its connection ended by the server, it connects anew, and is woken as before."""
    assert isinstance(database.server, PostgresServer)
    ask = LISTENERS.format(make_url(database.url).database)
    server = database.server
    with waiting_worker(database.url, destination.url) as idle:
        first = eventually(lambda: server.execute(ask))
        server.execute(f"SELECT pg_terminate_backend({first[0][0]})")
        eventually(lambda: [pid for (pid,) in server.execute(ask) if pid != first[0][0]])
        idle.wait_long()
        enqueue(database)
        destination.wait_for(1, timeout=10)


@ON_POSTGRESQL
def test_a_listener_leaves_the_worker_its_one_connection(
    database: Database, destination: ThreadedFakeServer, wakes: None, tmp_path: Path
) -> None:
    """With a role that may have one connection the worker works, also after that was cut, and polls."""
    assert isinstance(database.server, PostgresServer)
    url = make_url(database.url)
    server, name = database.server, f"single_{url.database}"
    grants = "GRANT ALL ON ALL TABLES IN SCHEMA public TO", "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO"
    server.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret' CONNECTION LIMIT 1")
    server.execute(*(f"{grant} {name}" for grant in grants), database=url.database)
    single = url.set(username=name, password="secret").render_as_string(hide_password=False)
    with worker(tmp_path, environment(single, destination.url, wake="on")):
        enqueue(database)
        destination.wait_for(1)
        for count in (2, 3):
            server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'")
            enqueue(database)
            destination.wait_for(count, timeout=20)
    eventually(lambda: not server.execute(f"SELECT pid FROM pg_stat_activity WHERE usename = '{name}'"))
    server.execute(f"DROP OWNED BY {name}", f"DROP ROLE {name}", database=url.database)


@ON_POSTGRESQL
def test_who_stops_listening_in_the_midst_of_connecting_leaves_no_connection(database: Database) -> None:
    """Though somebody keeps the cancelled task: it may be the only connection that the worker may have."""
    engine = open_engine(database.url)
    mine = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{engine.url.database}'"
    server = database.server
    assert isinstance(server, PostgresServer)

    async def listen() -> None:
        async with contextlib.aclosing(commits(engine, listens=True)) as told:
            async for _ in told:
                pass

    async def story() -> None:
        kept = []
        for turn in range(40):
            kept.append(asyncio.create_task(listen()))
            await asyncio.sleep(turn * 0.0004)  # connecting takes some 3 ms
            kept[-1].cancel()
        await asyncio.wait(kept)
        await asyncio.to_thread(eventually, lambda: server.execute(mine) == [])

    asyncio.run(story())
    engine.dispose()


@ON_POSTGRESQL
def test_through_a_pooler_a_worker_polls(
    database: Database, destination: ThreadedFakeServer, wakes: None, tmp_path: Path
) -> None:
    """It says so, once, and no session of the pooler's listens for it."""
    assert isinstance(database.server, PostgresServer)
    try:
        pooler = PgBouncer(database.server, size=3)
    except ServerMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    with pooler:
        url = make_url(database.url).set(port=pooler.port).render_as_string(hide_password=False)
        with worker(tmp_path, environment(url, destination.url, wake="on")) as process:
            for count in (1, 2):
                enqueue(database)
                destination.wait_for(count)
            process.until("no wake-ups: a transaction pooler")
            with database.engine.connect() as connection:
                assert connection.execute(text(LISTENERS.format(make_url(database.url).database))).all() == []
        assert process.text.count("no wake-ups") == 1


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.parametrize("others", [0, 2])
def test_an_idle_worker_asks_seldom(
    database: Database, destination: ThreadedFakeServer, tmp_path: Path, others: int
) -> None:
    """At most ten statements a second, COMMITs, pauses and heartbeats among them, with several destinations, too."""
    webhooks = {f"destination_crm{number}_url": destination.url for number in range(others)}
    webhooks |= {f"destination_crm{number}_secret": SECRET for number in range(others)}
    counter = Counter(database)
    with worker(tmp_path, environment(database.url, destination.url, wake="on", **webhooks)) as process:
        process.until("concurrency")
        enqueue(database)
        until_delivered(database, 1)
        eventually(lambda: _is_rare(counter), timeout=30, interval=0)


def _is_rare(counter: Counter) -> bool:
    """Whether the last ten seconds, which held a heartbeat, brought few statements."""
    counter.restart()
    eventually(lambda: counter.seconds > 10, timeout=15)
    return 0.5 <= counter.read().rate <= 10


@pytest.mark.parametrize("database", ["mariadb", "postgresql"], indirect=True)
def test_messages_for_several_destinations_are_found(
    database: Database, destination: ThreadedFakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look finds what there is for each of them, again and again."""
    monkeypatch.setenv("OUTBOX_DESTINATION_CRM_URL", destination.url)
    with worker(tmp_path, environment(database.url, destination.url, destination_crm_secret=SECRET)):
        for count in (1, 2, 3):
            enqueue(database)
            enqueue(database, destination="crm")
            until_delivered(database, 2 * count)
