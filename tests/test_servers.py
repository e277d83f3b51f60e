"""The tests' own servers: they survive a kill with their data, and end with whoever started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from outbox.schema import message
from support.databases import Database
from support.servers import MariaServer, PostgresServer, Server
from support.waiting import eventually

_OWNER = """
import sys, time
from support.servers import {name}
server = {name}()
server.start()
print(server.pid, server.home, flush=True)
time.sleep(600)
"""
KINDS = pytest.mark.parametrize("kind", [PostgresServer, MariaServer])


def test_a_fresh_database_has_our_tables_and_no_row(database: Database) -> None:
    """Each test begins with the schema at its head and nothing in it."""
    with database.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(message)) == 0


@KINDS
def test_a_killed_server_comes_back_with_what_was_committed(kind: type[Server]) -> None:
    """SIGKILL loses no committed row, and the port stays the same."""
    with kind() as server:
        url = server.create_database("kept")
        server.execute("CREATE TABLE t (n INTEGER)", database="kept")
        server.execute("INSERT INTO t VALUES (7)", database="kept")
        server.kill()
        assert server.pid is None
        server.start()
        assert server.url("kept") == url
        assert server.execute("SELECT n FROM t", database="kept") == [(7,)]


@KINDS
def test_a_server_does_not_outlive_a_killed_owner(kind: type[Server]) -> None:
    """When its owner is killed outright, the server ends and its data is removed."""
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER.format(name=kind.__name__)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )
    with owner:
        assert owner.stdout is not None
        pid, home = owner.stdout.readline().split()
        os.kill(int(pid), 0)
        owner.send_signal(signal.SIGKILL)
    eventually(lambda: not Path(home).exists(), timeout=20)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
