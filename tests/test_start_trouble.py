"""What is wrong when a worker starts: what it waits for, and what ends it with 78."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from outbox.testing import ThreadedFakeServer
from support.databases import Database
from support.rows import look, put
from support.servers.ports import free_port
from support.trouble import BODY, complaints, stop
from support.waiting import eventually
from support.workers import environment, run, worker

sqlite_only = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_user_that_the_database_does_not_know(
    database: Database, destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """It may be created any moment: the worker says so once and waits, alive; a drain ends with 69."""
    url = make_url(database.url).set(username="nobody_yet", password="hunter2").render_as_string(hide_password=False)
    heartbeat = tmp_path / "heartbeat"
    settings = environment(url, destination.url, heartbeat_file=heartbeat)
    assert run(settings, "worker", "--drain").returncode == 69
    with worker(tmp_path, settings) as patient:
        patient.until("waiting:")
        before = heartbeat.stat().st_mtime_ns
        eventually(lambda: heartbeat.stat().st_mtime_ns > before)
        stop(patient)
    assert len(complaints(patient)) == 1
    assert "nobody_yet" in patient.text
    assert "hunter2" not in patient.text


@sqlite_only
def test_an_endpoint_that_nobody_answers(database: Database, settings: dict[str, str], tmp_path: Path) -> None:
    """The worker runs, says so once, and charges nothing; a drain that cannot send ends with 75."""
    (identity,) = put(database, body=BODY)
    settings |= {"OUTBOX_ENDPOINT": f"http://127.0.0.1:{free_port()}/", "OUTBOX_PAUSE_FIRST": "50ms"}
    heartbeat = tmp_path / "heartbeat"
    with worker(tmp_path, settings | {"OUTBOX_HEARTBEAT_FILE": str(heartbeat)}) as running:
        running.until("cannot reach overcentric")
        before = heartbeat.stat().st_mtime_ns
        eventually(lambda: heartbeat.stat().st_mtime_ns > before)
        stop(running)
    assert running.text.count("cannot reach overcentric") == 1
    assert look(database, identity).attempts == 0
    assert run(settings, "worker", "--drain").returncode == 75


@sqlite_only
@pytest.mark.parametrize("source", ["file", "credential"])
def test_a_secret_that_is_missing(settings: dict[str, str], tmp_path: Path, source: str) -> None:
    """The file that a variable names is not there, or systemd has passed no credential: 78 and one line."""
    del settings["OUTBOX_DATABASE_URL"]
    if source == "file":
        settings["OUTBOX_DATABASE_URL_FILE"] = str(tmp_path / "missing")
    else:
        settings["CREDENTIALS_DIRECTORY"] = str(tmp_path)
    done = run(settings, "worker")
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert "OUTBOX_DATABASE_URL" in line
    assert ("missing, which cannot be read" if source == "file" else "is not set") in line
