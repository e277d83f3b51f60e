"""The heartbeat file and `outbox health`: who is well, who is not, and how little the question costs."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from outbox.testing import ThreadedFakeServer
from support.databases import Database, build_schema
from support.proxy import StallingProxy
from support.rows import put
from support.servers import PostgresServer
from support.trouble import BODY, stop
from support.waiting import eventually
from support.workers import environment, run, worker
from test_trouble_silence import IMPATIENT, through

sqlite_only = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def heartbeat(tmp_path: Path) -> Path:
    """Give where the heartbeat file is."""
    return tmp_path / "heartbeat"


def health(path: Path, max_age: str = "60s") -> tuple[int, str]:
    """Ask; give the exit code and the one line."""
    done = run({**os.environ, "OUTBOX_HEARTBEAT_FILE": str(path)}, "health", "--max-age", max_age)
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    return done.returncode, line


def touched_again(path: Path, timeout: float = 10.0) -> None:
    """Wait until the worker has come round twice."""
    for _ in range(2):
        before = path.stat().st_mtime_ns
        eventually(lambda: path.stat().st_mtime_ns > before, timeout=timeout)  # noqa: B023 - called at once


def test_a_worker_from_its_start_to_its_end(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, heartbeat: Path, tmp_path: Path
) -> None:
    """It is well while it is idle and while it is busy; when it has ended there is no file any more."""
    assert health(heartbeat)[0] == 1
    with worker(tmp_path, settings | {"OUTBOX_HEARTBEAT_FILE": str(heartbeat)}) as lively:
        eventually(heartbeat.exists)
        touched_again(heartbeat)
        destination.script = "delay=20ms"
        put(database, 1000, body=BODY)
        destination.wait_for(1)
        touched_again(heartbeat)
        assert health(heartbeat, "5s") == (0, "healthy")
        stop(lively)
    assert health(heartbeat) == (
        1,
        f"unhealthy: no worker writes {heartbeat}: none has begun, or the last one has ended",
    )


@sqlite_only
@pytest.mark.parametrize("reason", ["paused", "off"])
def test_a_worker_that_must_not_send(
    database: Database, settings: dict[str, str], heartbeat: Path, tmp_path: Path, reason: str
) -> None:
    """It comes round, though it claims nothing."""
    put(database, body=BODY)
    settings |= {"OUTBOX_HEARTBEAT_FILE": str(heartbeat)}
    if reason == "off":
        settings["OUTBOX_DELIVERY"] = "off"
    else:
        assert run(settings, "pause", "--reason", "test").returncode == 0
    with worker(tmp_path, settings) as waiting:
        eventually(heartbeat.exists)
        touched_again(heartbeat)
        stop(waiting)


@sqlite_only
def test_a_frozen_worker(database: Database, settings: dict[str, str], heartbeat: Path, tmp_path: Path) -> None:
    """Stopped by a signal it comes round no more; continued it is well again."""
    with worker(tmp_path, settings | {"OUTBOX_HEARTBEAT_FILE": str(heartbeat)}) as frozen:
        eventually(heartbeat.exists)
        touched_again(heartbeat)
        frozen.signal(signal.SIGSTOP)
        eventually(lambda: health(heartbeat, "2s")[0] == 1)
        assert "and not since" in health(heartbeat, "2s")[1]
        frozen.signal(signal.SIGCONT)
        eventually(lambda: health(heartbeat, "2s") == (0, "healthy"))
        stop(frozen)


_WEDGED = """
import os, time
from tenacity import stop_after_attempt
from tenacity.wait import wait_base
from outbox.policy import Policy

class Wedged(wait_base):
    def __call__(self, retry_state):
        while os.path.exists("{path}"):
            time.sleep(0.1)
        return 1.0

policy = Policy(wait=Wedged(), stop=stop_after_attempt(5), retry_after_max=60.0)
"""


@sqlite_only
def test_a_wedged_event_loop(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, heartbeat: Path, tmp_path: Path
) -> None:
    """Code of the user's that never returns stops the worker, and so its pulse, though the process lives."""
    wedge = tmp_path / "wedge"
    (tmp_path / "wedged.py").write_text(_WEDGED.format(path=wedge))
    destination.script = "500"
    settings |= {"OUTBOX_HEARTBEAT_FILE": str(heartbeat), "OUTBOX_POLICY": "wedged:policy"}
    del settings["OUTBOX_RETRY_SCHEDULE"]
    settings["PYTHONPATH"] = os.pathsep.join([str(tmp_path), settings.get("PYTHONPATH", "")])
    with worker(tmp_path, settings) as wedged:
        eventually(heartbeat.exists)
        wedge.touch()
        put(database, body=BODY)
        destination.wait_for(1)
        eventually(lambda: health(heartbeat, "2s")[0] == 1)
        wedge.unlink()
        eventually(lambda: health(heartbeat, "2s")[0] == 0)
        stop(wedged)


def test_a_worker_that_waits_for_its_database(destination: ThreadedFakeServer, heartbeat: Path, tmp_path: Path) -> None:
    """From the start on, and when the database ends under it: to start it anew would help nobody."""
    with PostgresServer() as server:
        url = server.create_database("late")
        build_schema(url)
        server.stop()
        settings = environment(url, destination.url, heartbeat_file=heartbeat)
        with worker(tmp_path, settings) as patient:
            patient.until("waiting:")
            touched_again(heartbeat)
            server.start()
            patient.until("the database works again")
            server.kill()
            eventually(lambda: patient.text.count("waiting:") == 2, timeout=20)
            touched_again(heartbeat)
            touched_again(heartbeat)
            stop(patient)


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_worker_whose_database_is_silent(
    database: Database, destination: ThreadedFakeServer, heartbeat: Path, tmp_path: Path
) -> None:
    """It comes round whenever it has given up a connection."""
    assert database.server is not None
    with StallingProxy(database.server.port) as proxy:
        settings = environment(through(proxy, database), destination.url, heartbeat_file=heartbeat)
        with worker(tmp_path, settings, command=IMPATIENT) as patient:
            eventually(heartbeat.exists)
            touched_again(heartbeat)
            proxy.stall()
            patient.until("waiting:", timeout=20)
            touched_again(heartbeat, timeout=20)


@sqlite_only
def test_a_file_that_cannot_be_one(settings: dict[str, str], tmp_path: Path) -> None:
    """A folder that is not there, a file that holds something, a link: 78, and one line that names the setting."""
    full, link = tmp_path / "full", tmp_path / "link"
    full.write_text("precious")
    link.symlink_to(tmp_path / "elsewhere")
    for path, words in ((tmp_path / "no" / "file", "cannot be written"), (full, "holds something"), (link, "written")):
        done = run(settings | {"OUTBOX_HEARTBEAT_FILE": str(path)}, "worker", "--once")
        assert done.returncode == 78
        assert done.stderr.splitlines()[-1].startswith("outbox: OUTBOX_HEARTBEAT_FILE")
        assert words in done.stderr
    assert full.read_text() == "precious"
    assert not (tmp_path / "elsewhere").exists()


@sqlite_only
def test_a_file_that_goes_away(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, heartbeat: Path, tmp_path: Path
) -> None:
    """Its folder's loss is logged once and stops no message; when the folder is back the file is written again."""
    folder = tmp_path / "run"
    folder.mkdir()
    with worker(tmp_path, settings | {"OUTBOX_HEARTBEAT_FILE": str(folder / "heartbeat")}) as steady:
        eventually((folder / "heartbeat").exists)
        (folder / "heartbeat").unlink()
        eventually((folder / "heartbeat").exists)
        folder.rename(tmp_path / "away")
        steady.until("cannot be written")
        put(database, body=BODY)
        destination.wait_for(1)
        folder.mkdir()
        steady.until("is written again")
        stop(steady)
    assert steady.text.count("cannot be written") == 1


def test_the_time_of_the_file_decides(heartbeat: Path) -> None:
    """Older than asked for is unhealthy; so is a time in the future, which says nothing of now."""
    heartbeat.touch()
    for age, code in ((0.0, 0), (9.0, 0), (11.0, 1), (-5.0, 0), (-20.0, 1)):
        moment = time.time() - age
        os.utime(heartbeat, (moment, moment))
        assert health(heartbeat, "10s")[0] == code, age


def test_without_a_file_there_is_no_answer() -> None:
    """A check that was not configured is a mistake, and no sign of an ill worker."""
    done = run({**os.environ}, "health")
    assert done.returncode == 78
    assert "OUTBOX_HEARTBEAT_FILE is not set" in done.stderr


def test_another_setting_does_not_matter(heartbeat: Path) -> None:
    """What the worker would stumble over, or what only it may read, is not read."""
    heartbeat.touch()
    wrong = {"OUTBOX_LEASE": "soon", "OUTBOX_DATABASE_URL_FILE": "/nowhere", "OUTBOX_HEARTBEAT_FILE": str(heartbeat)}
    assert run(os.environ | wrong, "health").returncode == 0


_HEAVY = {
    "sqlalchemy", "alembic", "rich", "uvloop", "pyreqwest", "tenacity", "asyncio", "prometheus_client",
    "outbox.store", "outbox.schema", "outbox.worker", "outbox.service", "outbox.delivery",
}  # fmt: skip


def test_it_imports_no_database(heartbeat: Path) -> None:
    """It runs every few seconds beside a worker, on the same processor."""
    heartbeat.touch()
    program = (
        "import json, sys, outbox.cli\n"
        f"assert outbox.cli.run(['health', '--heartbeat-file', {str(heartbeat)!r}]) == 0\n"
        "print(json.dumps([*sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert _HEAVY & {*json.loads(done.stdout.splitlines()[-1])} == set()


def test_it_costs_little_more_than_its_command_line(heartbeat: Path) -> None:
    """Twice the processor time of `import click` at most, and no more than 100 ms where that takes 50 or less."""
    heartbeat.touch()
    asked = _quickest("-m", "outbox", "health", "--heartbeat-file", str(heartbeat))
    assert asked < max(0.1, 2 * _quickest("-c", "import click"))


def _quickest(*arguments: str) -> float:
    """Give the seconds of processor time that a run takes, which other processes of this machine hardly change."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    times = []
    for _ in range(7):
        before = spent()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(spent() - before)
    return min(times)
