"""The units under a systemd of their own: start, readiness, stop, restart, watchdog, and the fences around a worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from outbox.testing import ThreadedFakeServer
from support.booted import PYTHON, Booted, CannotBoot, booted
from support.databases import Database
from support.pages import marked
from support.project import ROOT
from support.rows import put
from support.trouble import BODY, until_delivered
from support.waiting import eventually

PAGE = ROOT / "docs" / "deployment.md"
ONE, TWO = "outbox-worker@1.service", "outbox-worker@2.service"
ON_POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@pytest.fixture
def system(database: Database, destination: ThreadedFakeServer) -> Iterator[Booted]:
    """Give a systemd in which nothing of ours is installed yet, but settings for a worker that is to end soon."""
    try:
        with booted() as up:
            times = "OUTBOX_LEASE=4s\nOUTBOX_TRY_TIMEOUT=2s\nOUTBOX_DRAIN_TIMEOUT=2s\n"
            up.write("/etc/outbox/worker.env", f"OUTBOX_ENDPOINT={destination.url}\n{times}")
            yield up
    except CannotBoot as why:
        pytest.skip(str(why))


@pytest.fixture
def installed(system: Booted, database: Database) -> Booted:
    """Give a systemd with our units and the database's URL."""
    system.run("/opt/outbox/bin/outbox", "systemd", "install", "--workers", "2")
    system.write("/etc/outbox/credentials/database_url", database.url)
    system.run("systemctl", "daemon-reload")
    return system


@ON_POSTGRESQL
def test_from_nothing_to_supervised_workers(
    system: Booted, database: Database, destination: ThreadedFakeServer
) -> None:
    """The commands of the page, as they stand: two workers, ready, confined; `stop` of the target ends both in order."""
    shown = marked(PAGE, "systemd")
    system.run("bash", "-euc", shown.replace("postgresql://outbox@db.internal/shop", database.url))
    eventually(lambda: [system.show(each, "ActiveState") for each in (ONE, TWO)] == ["active", "active"], timeout=30)
    put(database, 20, body=BODY)
    until_delivered(database, 20)
    eventually(lambda: "delivered" in system.show(ONE, "StatusText"), timeout=10)
    status = Path(f"/proc/{_pid(system, ONE)}/status").read_text()
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["Uid"].split()[0] != "0"
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"
    assert {int(facts[each], 16) for each in ("CapEff", "CapPrm", "CapBnd")} == {0}
    environment = Path(f"/proc/{_pid(system, ONE)}/environ").read_text()
    assert database.url not in environment, "a secret is a credential"
    system.run("systemctl", "stop", "outbox-workers.target")
    eventually(lambda: [system.show(each, "ActiveState") for each in (ONE, TWO)] == ["inactive", "inactive"])
    assert system.show(ONE, "Result") == "success"
    assert system.show(ONE, "ExecMainStatus") == "0"


@ON_POSTGRESQL
def test_a_stop_with_work_in_flight(installed: Booted, database: Database, destination: ThreadedFakeServer) -> None:
    """It waits for the drain, and kills nobody."""
    destination.script = "hang"
    installed.run("systemctl", "start", ONE)
    put(database, 1, body=BODY)
    destination.wait_for(1)
    began = time.monotonic()
    installed.run("systemctl", "stop", ONE)
    assert time.monotonic() - began < 10
    assert (installed.show(ONE, "Result"), installed.show(ONE, "ExecMainStatus")) == ("success", "0")


@ON_POSTGRESQL
def test_a_killed_worker_is_started_again(installed: Booted, database: Database) -> None:
    """`Restart=always`: a new process, ready again."""
    installed.run("systemctl", "start", ONE)
    first = _pid(installed, ONE)
    os.kill(first, signal.SIGKILL)
    eventually(
        lambda: _pid(installed, ONE) not in {0, first} and installed.show(ONE, "ActiveState") == "active", timeout=30
    )
    put(database, 1, body=BODY)
    until_delivered(database, 1)


@ON_POSTGRESQL
def test_a_wedged_worker_is_killed_by_the_watchdog(installed: Booted, database: Database) -> None:
    """One that does not come round any more falls silent, and is started again."""
    installed.write(f"/etc/systemd/system/{ONE}.d/short.conf", "[Service]\nWatchdogSec=4\nRestartSec=1\n")
    installed.run("systemctl", "daemon-reload")
    installed.run("systemctl", "start", ONE)
    first = _pid(installed, ONE)
    time.sleep(10)  # two watchdog intervals and a half: it must live through them, and there is nothing to wait for
    assert _pid(installed, ONE) == first
    os.kill(first, signal.SIGSTOP)
    eventually(lambda: installed.show(ONE, "Result") == "watchdog", timeout=20)
    eventually(lambda: _pid(installed, ONE) not in {0, first} and installed.show(ONE, "ActiveState") == "active")
    assert installed.show(ONE, "NRestarts") == "1"


@ON_POSTGRESQL
def test_a_wrong_configuration_is_not_tried_again(installed: Booted) -> None:
    """Exit code 78 ends it: the unit has failed, and stays so."""
    installed.write("/etc/outbox/worker.env", "OUTBOX_LEASE=soon\n")
    installed.run("systemctl", "start", ONE, check=False)
    eventually(lambda: installed.show(ONE, "ActiveState") == "failed")
    time.sleep(6)  # longer than RestartSec: that nothing happens is what is to be seen
    assert installed.show(ONE, "ExecMainStatus") == "78"
    assert installed.show(ONE, "NRestarts") == "0"
    assert "OUTBOX_LEASE: 'soon' cannot be used" in installed.log


def _pid(system: Booted, unit: str) -> int:
    """The worker's process id as this machine counts."""
    inside = system.show(unit, "MainPID")
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            numbers = next(line for line in status.read_text().splitlines() if line.startswith("NSpid:")).split()[1:]
        except (OSError, StopIteration):
            continue
        if len(numbers) == 2 and numbers[1] == inside and _is_within(system, int(numbers[0])):
            return int(numbers[0])
    return 0


def _is_within(system: Booted, pid: int) -> bool:
    ours, theirs = (Path(f"/proc/{each}/ns/pid") for each in (system.pid, pid))
    return ours.exists() and theirs.exists() and ours.readlink() == theirs.readlink()


@ON_POSTGRESQL
@pytest.mark.parametrize(
    ("options", "folder", "words"),
    [
        ("mode=700", "/opt/closed", "/opt/closed is closed to others"),
        ("mode=777", "/var/tmp", "a service has a /tmp of its own"),  # noqa: S108 - a file system of the test's own
    ],
)
def test_a_program_that_a_service_cannot_reach(system: Booted, options: str, folder: str, words: str) -> None:
    """Units for it would only fail later: `install` says why, and writes nothing."""
    system.run("sh", "-euc", f"mkdir -p {folder}; mount -t tmpfs -o {options} tmpfs {folder}; mkdir {folder}/python")
    system.run("mount", "--bind", "/opt/python", f"{folder}/python")
    call = f"LD_LIBRARY_PATH=/opt/python/lib {folder}/python/bin/{PYTHON.name} -P -m outbox systemd install 2>&1"
    said = system.run("sh", "-c", f"PYTHONPATH=/opt/source:/opt/libraries {call}; echo $?", check=False)
    assert words in said
    assert said.endswith("\n1\n")
    assert system.run("find", "/etc/systemd/system", "-name", "*.target", "-path", "*outbox*") == ""
