"""A transaction pooler between worker and PostgreSQL: each transaction may meet another session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from outbox.testing import ThreadedFakeServer
from support.databases import Database
from support.rows import put
from support.servers import PgBouncer, PostgresServer, ServerMissing
from support.trouble import BODY, complaints, stop, until_delivered
from support.workers import environment, run, worker

ON_POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@pytest.fixture
def pooled_url(database: Database, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the database's URL through a pooler."""
    assert isinstance(database.server, PostgresServer)
    try:
        pooler = PgBouncer(database.server, size=request.param)
    except ServerMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    with pooler:
        yield make_url(database.url).set(port=pooler.port).render_as_string(hide_password=False)


@ON_POSTGRESQL
@pytest.mark.parametrize("pooled_url", [1, 3], indirect=True)
def test_two_workers(database: Database, pooled_url: str, destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """Two workers deliver through one session, or through several, each message once."""
    ids = put(database, 300, body=BODY)
    destination.script = "delay=5ms"
    settings = environment(pooled_url, destination.url, concurrency=8, lease="60s")
    with worker(tmp_path, settings) as one, worker(tmp_path, settings) as other:
        until_delivered(database, 300)
        for each in (one, other):
            stop(each)
    assert destination.keys == dict.fromkeys(ids, 1)
    assert complaints(one) + complaints(other) == []


@ON_POSTGRESQL
@pytest.mark.parametrize("pooled_url", [1], indirect=True)
def test_no_setting_stays_behind(database: Database, pooled_url: str, destination: ThreadedFakeServer) -> None:
    """Who gets a worker's session next, from the pooler, finds the server's own settings, and no prepared statement."""
    put(database, 5, body=BODY)
    settings = environment(pooled_url, destination.url)
    with psycopg.connect(pooled_url.replace("+psycopg", ""), autocommit=True, prepare_threshold=None) as application:
        ask = "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"
        before = application.execute(ask).fetchone()
        assert run(settings, "worker", "--drain").returncode == 0
        assert application.execute(ask).fetchone() == before == ("0", "0")
        assert application.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


@ON_POSTGRESQL
@pytest.mark.parametrize("pooled_url", [3], indirect=True)
def test_commands(database: Database, pooled_url: str, destination: ThreadedFakeServer) -> None:
    """The commands work through it, migrations among them."""
    put(database, 20, body=BODY)
    settings = environment(pooled_url, destination.url)
    assert run(settings, "db", "upgrade").returncode == 0
    assert run(settings, "status").returncode == 0
    listed = run(settings, "list", "--jsonl", "--limit", "0")
    assert listed.returncode == 0, listed.stderr
    assert len(listed.stdout.splitlines()) == 20
