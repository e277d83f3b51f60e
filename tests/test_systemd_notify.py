"""What a worker tells its service manager, over a real socket."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from outbox.schema import utc_after
from outbox.settings.supervisor import Supervisor, take_supervisor
from outbox.testing import ThreadedFakeServer
from support.databases import Database, build_schema
from support.rows import look, put
from support.servers import PostgresServer
from support.service_manager import service_manager
from support.trouble import BODY, stop, until_delivered
from support.workers import environment, run, worker

ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
WATCHDOG = 4.0


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
@ON_SQLITE
def test_ready_once_and_stopping_once(
    database: Database, settings: dict[str, str], tmp_path: Path, *, abstract: bool
) -> None:
    """READY comes once, when the schema has been checked; STOPPING at SIGTERM, with the time that this may take."""
    with service_manager(tmp_path, abstract=abstract) as manager:
        with worker(tmp_path, settings | manager.environment()) as started:
            manager.until("READY=1")
            manager.until_status("0 due")
            stop(started)
        manager.until("STOPPING=1")
        assert manager.texts("READY=") == ["1"]
        assert manager.texts("STOPPING=") == ["1"]
        # The drain time of these tests, 10 s for the last settle, 25 s for a database that has just fallen silent.
        assert manager.texts("EXTEND_TIMEOUT_USEC=")[-1] == "40000000"
        assert manager.texts("STATUS=")[-1] == "stopping: 0 in flight"
        assert manager.times("WATCHDOG=") == [], "nobody asked for it"


def test_status_tells_of_the_backlog(database: Database, settings: dict[str, str], tmp_path: Path) -> None:
    """The line changes as messages gather, with a key and without, and as they are delivered: once in three seconds."""
    with service_manager(tmp_path) as manager, worker(tmp_path, settings | manager.environment()) as busy:
        manager.until_status("0 due, 0 in flight, 0 delivered, 0 failed")
        assert run(settings, "pause", "--reason", "a test").returncode == 0
        put(database, 30, body=BODY)
        put(database, 12, body=BODY, ordering_key="one")
        put(database, 5, body=BODY, due_at=utc_after(3600))
        put(database, 5, body=BODY, due_at=utc_after(3600), ordering_key="later")
        manager.until_status("42 due, 0 in flight, 0 delivered, 0 failed; not sent to now: overcentric")
        assert run(settings, "resume").returncode == 0
        manager.until_status("0 due, 0 in flight, 42 delivered, 0 failed", timeout=30)
        moments = manager.times("STATUS=")
        assert min(after - before for before, after in pairwise(moments)) > 2.5
        stop(busy)


def test_a_big_backlog_is_counted_no_further_than_people_want_to_know(
    database: Database, settings: dict[str, str], tmp_path: Path
) -> None:
    """A thousand of a kind are counted, no more."""
    settings["OUTBOX_DELIVERY"] = "off"
    put(database, 1_100, body=BODY)
    with service_manager(tmp_path) as manager, worker(tmp_path, settings | manager.environment()) as held:
        manager.until_status("1,000 or more due, 0 in flight")
        stop(held)


@ON_SQLITE
def test_the_watchdog_is_fed_by_rounds(database: Database, settings: dict[str, str], tmp_path: Path) -> None:
    """At half the interval while the worker goes round; one that is frozen is silent, and speaks again when it goes on."""
    with service_manager(tmp_path) as manager, worker(tmp_path, settings | manager.environment(WATCHDOG)) as watched:
        manager.until("WATCHDOG=1", count=4, timeout=30)
        moments = manager.times("WATCHDOG=1")
        gaps = [after - before for before, after in pairwise(moments)]
        assert all(WATCHDOG / 2 - 0.2 < gap < WATCHDOG for gap in gaps), gaps
        assert len(manager.texts("STATUS=")) == len({*manager.texts("STATUS=")}), "what is as it was is not said again"
        watched.signal(signal.SIGSTOP)
        frozen_at = time.monotonic()
        time.sleep(1.5 * WATCHDOG)  # silence is what is to be seen: a condition to wait for there is none
        assert [each for each in manager.times("") if each > frozen_at + 0.2] == []
        before = len(manager.times("WATCHDOG=1"))
        watched.signal(signal.SIGCONT)
        manager.until("WATCHDOG=1", count=before + 1, timeout=5)
        stop(watched)


def test_a_database_that_is_down_is_waited_for(destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """Not ready, but alive: it asks for time to start, says what it waits for, and is ready when the database is.

    When the database goes away afterwards the watchdog is fed on, and the status says why nothing is delivered.
    """
    with PostgresServer() as server:
        url = server.create_database("late")
        build_schema(url)
        settings = environment(url, destination.url)
        server.stop()
        with (
            service_manager(tmp_path) as manager,
            worker(tmp_path, settings | manager.environment(WATCHDOG)) as patient,
        ):
            manager.until_status("waiting: ")
            manager.until("EXTEND_TIMEOUT_USEC=90000000")
            assert manager.times("READY=1") == manager.times("WATCHDOG=1") == []
            server.start()
            manager.until("READY=1")
            manager.until_status("0 due")
            server.kill()
            gone_at = time.monotonic()
            manager.until("STATUS=waiting: ", count=2)
            fed = len(manager.times("WATCHDOG=1"))
            manager.until("WATCHDOG=1", count=fed + 3, timeout=40)
            fed_at = [each for each in manager.times("WATCHDOG=1") if each > gone_at]
            assert max(after - before for before, after in pairwise(fed_at)) < 2 * WATCHDOG
            patient.signal(signal.SIGTERM)
            assert patient.wait(40) == 0
            assert manager.texts("READY=") == ["1"]


@pytest.mark.parametrize("empty_database", ["sqlite"], indirect=True)
def test_tables_that_are_missing_are_waited_for(
    empty_database: Database, destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """A worker without its tables is not ready, and says what to do; with them it is."""
    settings = environment(empty_database.url, destination.url)
    with service_manager(tmp_path) as manager, worker(tmp_path, settings | manager.environment()) as early:
        manager.until_status("outbox db upgrade")
        assert manager.times("READY=1") == []
        assert run(settings, "db", "upgrade").returncode == 0
        manager.until("READY=1")
        stop(early)


@ON_SQLITE
def test_stopped_with_work_in_flight(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """It ends within the time that it has asked for, and what the drain time cut off is due again."""
    (identity,) = put(database, body=BODY)
    destination.script = "hang"
    settings |= {"OUTBOX_TRY_TIMEOUT": "30s", "OUTBOX_LEASE": "60s", "OUTBOX_DRAIN_TIMEOUT": "1s"}
    with service_manager(tmp_path) as manager, worker(tmp_path, settings | manager.environment()) as busy:
        destination.wait_for(1)
        manager.until("READY=1")
        began = time.monotonic()
        busy.signal(signal.SIGTERM)
        manager.until("STATUS=stopping: 1 in flight")
        assert busy.wait(36) == 0
        granted = int(manager.texts("EXTEND_TIMEOUT_USEC=")[-1]) / 1_000_000
        assert 0.9 < time.monotonic() - began < granted == 36
    assert look(database, identity).claimed_until is None


@ON_SQLITE
def test_no_child_speaks_for_the_worker(database: Database, settings: dict[str, str], tmp_path: Path) -> None:
    """What a worker imports, and the processes that it may start, find no socket to speak to."""
    (tmp_path / "spy.py").write_text(
        "import os, pathlib, subprocess, sys\n"
        "from tenacity import stop_after_attempt, wait_fixed\n"
        "from outbox.policy import Policy\n"
        "seen = subprocess.run(['env'], capture_output=True, text=True, check=True).stdout\n"
        f"pathlib.Path({str(tmp_path / 'seen')!r}).write_text(seen)\n"
        "policy = Policy(wait_fixed(1), stop_after_attempt(3), 60.0)\n",
        encoding="utf-8",
    )
    del settings["OUTBOX_RETRY_SCHEDULE"]
    settings |= {"OUTBOX_POLICY": "spy:policy", "PYTHONPATH": f"{tmp_path}{os.pathsep}{settings.get('PYTHONPATH', '')}"}
    with service_manager(tmp_path) as manager, worker(tmp_path, settings | manager.environment(WATCHDOG)) as started:
        manager.until("READY=1")
        stop(started)
    seen = (tmp_path / "seen").read_text()
    assert "OUTBOX_POLICY=spy:policy" in seen
    assert "NOTIFY_SOCKET" not in seen
    assert "WATCHDOG_USEC" not in seen


@ON_SQLITE
def test_a_socket_that_is_gone_stops_nothing(database: Database, settings: dict[str, str], tmp_path: Path) -> None:
    """Messages are delivered, whether or not anybody listens."""
    settings |= {"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "2000000"}
    put(database, 3, body=BODY)
    with worker(tmp_path, settings) as unheard:
        until_delivered(database, 3)
        stop(unheard)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "2000000"}, None),
        ({"NOTIFY_SOCKET": "relative"}, None),
        ({"NOTIFY_SOCKET": "/run/notify"}, Supervisor("/run/notify", None)),
        ({"NOTIFY_SOCKET": "@abstract", "WATCHDOG_USEC": "2500000"}, Supervisor("@abstract", 2.5)),
        ({"NOTIFY_SOCKET": "@a", "WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}, Supervisor("@a", None)),
        ({"NOTIFY_SOCKET": "@a", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": f"{os.getpid()}"}, Supervisor("@a", 1.0)),
        ({"NOTIFY_SOCKET": "@a", "WATCHDOG_USEC": "0"}, Supervisor("@a", None)),
        ({"NOTIFY_SOCKET": "@a", "WATCHDOG_USEC": "soon"}, Supervisor("@a", None)),
    ],
)
def test_what_the_variables_mean(
    variables: dict[str, str], expected: Supervisor | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watchdog that is meant for another process is not ours; afterwards no variable is left."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert take_supervisor() == expected
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & {*os.environ}
