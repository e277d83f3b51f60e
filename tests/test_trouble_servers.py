"""A server that restarts, and one that may only be read: a worker waits, says so once, and comes back by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from outbox.testing import ThreadedFakeServer
from support.databases import Database
from support.roles import plain_role
from support.rows import put
from support.trouble import BODY, bore_it, stop, until_delivered, until_quiet
from support.workers import environment, worker

READ_ONLY = {
    "postgresql": ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"],
    "mariadb": ["SET GLOBAL read_only = on"],
}
WRITABLE = {
    "postgresql": [
        "SET default_transaction_read_only = off",
        "ALTER SYSTEM RESET default_transaction_read_only",
        "SELECT pg_reload_conf()",
    ],
    "mariadb": ["SET GLOBAL read_only = off"],
}


def test_a_restart(
    own_database: Database,
    destination: ThreadedFakeServer,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """A worker delivers again within seconds of the server's return."""
    ids = put(own_database, 300, body=BODY)
    own_database.dispose()
    destination.script = "delay=50ms"
    settings = environment(own_database.url, destination.url, concurrency=4, lease="5s")
    server = own_database.server
    assert server is not None
    with worker(tmp_path, settings) as patient:
        destination.wait_for(20, timeout=30)
        server.stop()
        patient.until("waiting:", timeout=30)
        before = destination.count
        server.start()
        began = time.monotonic()
        destination.wait_for(before + 10, timeout=30)
        seconds = time.monotonic() - began
        until_delivered(own_database, 300)
        stop(patient)
    record_property("seconds until it delivered again", seconds)
    print(f"delivering {seconds:.2f} s after the restart")
    assert seconds < 10
    assert set(destination.keys) == set(ids)
    # The connection that is lost, the refused ones, and what a server says that shuts down or starts up.
    bore_it(patient, most=4)


def test_a_failover_to_read_only(own_database: Database, destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """While a worker cannot settle it sends nothing; then it settles what was in flight, and nothing is sent twice."""
    ids = put(own_database, 200, body=BODY)
    destination.script = "delay=20ms"
    server = own_database.server
    assert server is not None
    # Administrators write on a MariaDB that is read-only.
    with plain_role(own_database) as url:
        settings = environment(url, destination.url, concurrency=4, lease="60s")
        with worker(tmp_path, settings) as patient:
            destination.wait_for(20, timeout=30)
            server.execute(*READ_ONLY[own_database.kind])
            patient.until("waiting:", timeout=30)
            until_quiet(destination)
            assert destination.count < 200
            server.execute(*WRITABLE[own_database.kind])
            until_delivered(own_database, 200)
            stop(patient)
    assert destination.keys == dict.fromkeys(ids, 1)
    said = bore_it(patient, most=2)
    assert "read-only" in said[0]
