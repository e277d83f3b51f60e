"""A database that is there, takes everything, and answers nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from outbox.errors import DatabaseUnreachable
from outbox.store.opened import opened
from outbox.testing import ThreadedFakeServer
from support.databases import Database
from support.proxy import StallingProxy
from support.rows import put
from support.trouble import BODY, complaints, stop, until_delivered
from support.workers import environment, worker

# A worker whose patience ends after 2 s instead of 20, and when it connects after 2 s instead of 5.
_SCRIPT = """
import outbox.cli, outbox.store.engine, outbox.worker.worker
outbox.worker.worker.ANSWER_SECONDS = 2.0
outbox.store.engine.CONNECT_SECONDS = 2
outbox.cli.main()
"""
IMPATIENT = [sys.executable, "-c", _SCRIPT]


@pytest.fixture
def proxy(database: Database) -> Iterator[StallingProxy]:
    """Give a proxy before the database's server."""
    assert database.server is not None
    with StallingProxy(database.server.port) as made:
        yield made


def through(proxy: StallingProxy, database: Database) -> str:
    """The database's URL, through the proxy."""
    return make_url(database.url).set(port=proxy.port).render_as_string(hide_password=False)


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_connection_falls_silent(
    database: Database, destination: ThreadedFakeServer, proxy: StallingProxy, tmp_path: Path
) -> None:
    """A worker gives up a connection on which no answer comes, says so once, and delivers through a new one."""
    settings = environment(through(proxy, database), destination.url, lease="60s")
    put(database, body=BODY)
    with worker(tmp_path, settings, command=IMPATIENT) as patient:
        until_delivered(database, 1)
        proxy.stall()
        proxy.resume()
        put(database, body=BODY)
        until_delivered(database, 2, timeout=30)
        stop(patient)
    assert destination.count == 2
    (complaint,) = complaints(patient)
    assert "no answer for 2 s" in complaint


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_server_falls_silent(
    database: Database, destination: ThreadedFakeServer, proxy: StallingProxy, tmp_path: Path
) -> None:
    """While new connections get no greeting either, a worker tries again and again, and says so once for each reason."""
    settings = environment(through(proxy, database), destination.url, lease="60s")
    put(database, body=BODY)
    with worker(tmp_path, settings, command=IMPATIENT) as patient:
        until_delivered(database, 1)
        proxy.stall()
        put(database, body=BODY)
        patient.until("no answer", timeout=30)
        patient.until("timed out" if database.kind == "mariadb" else "timeout expired", timeout=30)
        proxy.resume()
        until_delivered(database, 2, timeout=30)
        stop(patient)
    assert destination.count == 2
    assert len(complaints(patient)) == 2


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_command_does_not_wait_for_ever(database: Database, proxy: StallingProxy) -> None:
    """A command whose statement gets no answer ends with one line that says so."""
    began = time.monotonic()
    with (  # noqa: PT012 - the error comes from within the block, is explained at its end
        pytest.raises(DatabaseUnreachable, match=r"no answer for 0\.5 s"),
        opened(through(proxy, database), answer=0.5) as engine,
        engine.connect() as connection,
    ):
        proxy.stall()
        connection.exec_driver_sql("SELECT 1")
    assert time.monotonic() - began < 10
