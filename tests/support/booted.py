"""A systemd of the test's own, as PID 1 of its own namespaces: it sees this machine's programs, and changes none of its files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.project import ROOT
from support.waiting import eventually

SYSTEMD = Path("/usr/lib/systemd/systemd")
LIBRARIES = Path(next(path for path in sys.path if path.endswith("site-packages")))
PYTHON = Path("/opt/python") / Path(sys.executable).resolve().relative_to(sys.base_prefix)

# What an instance of ours pulls in by default; the machine's own units stay unknown.
_UNITS = ("boot", "sysinit", "basic", "shutdown", "multi-user")

_BOOT = """
set -eu
mount --make-rprivate /
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "$1/etc" "$1/work" "$1/run"
mount -t tmpfs tmpfs "$1/etc"
mkdir "$1/etc/upper" "$1/etc/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$1/etc/upper,workdir=$1/etc/work" overlay /etc
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /opt
mkdir -p /opt/python /opt/source /opt/libraries /opt/log /opt/units /opt/outbox/bin
mount --bind "$2" /opt/source
mount --bind "$3" /opt/libraries
mount --bind "$5" /opt/python
cp "$1"/units/* /opt/units
cp "$1/outbox" /opt/outbox/bin/outbox
mkdir -p /etc/systemd/system/outbox-worker@.service.d
cp "$1/worker.conf" /etc/systemd/system/outbox-worker@.service.d/test.conf
mount -t tmpfs tmpfs /run
mount --make-rshared /
export container=test SYSTEMD_UNIT_PATH=/etc/systemd/system:/opt/units SYSTEMD_LOG_TARGET=console
exec "$4" --system --unit=boot.target --log-target=console --show-status=no
"""


class CannotBoot(Exception):
    """Why no systemd of our own can run on this machine."""


@dataclass
class Booted:
    """A running systemd."""

    folder: Path
    pid: int

    def run(self, *command: str, check: bool = True, timeout: float = 60.0) -> str:
        """Run a command beside it, as root, and give what it printed."""
        enter = ["nsenter", "--target", f"{self.pid}", "--mount", "--pid", "--cgroup", "--uts", "--ipc"]
        done = subprocess.run([*enter, *command], capture_output=True, text=True, check=False, timeout=timeout, cwd="/")
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{self.log}"
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).strip()

    def write(self, path: str, text: str) -> None:
        """Write a file that it sees, and this machine does not."""
        self.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && printf %s "$2" >"$1"', "sh", path, text)

    @property
    def log(self) -> str:
        """What it printed, and what the workers did."""
        workers = self.run("sh", "-c", "cat /opt/log/* 2>/dev/null || true", check=False) if self.pid else ""
        return (self.folder / "console.log").read_text(errors="replace") + workers


@contextmanager
def booted() -> Iterator[Booted]:
    """Boot, and end it. /opt/outbox/bin/outbox is there the program of this repository. Raises `CannotBoot`."""
    if os.geteuid() != 0:
        msg = "only root may make the namespaces"
        raise CannotBoot(msg)
    for program in (SYSTEMD, *(Path(shutil.which(name) or f"/{name}") for name in ("unshare", "nsenter", "systemctl"))):
        if not program.exists():
            msg = f"{program.name} is not installed"
            raise CannotBoot(msg)
    folder = Path(tempfile.mkdtemp(prefix="outbox-boot-"))
    try:
        _write_files(folder)
        with _cgroup() as group, (folder / "console.log").open("wb") as console:
            process = subprocess.Popen(
                ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(group / "cgroup.procs"),
                 "unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--cgroup", "--",
                 "sh", "-c", _BOOT, "sh", str(folder), str(ROOT), str(LIBRARIES), str(SYSTEMD), sys.base_prefix],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            )  # fmt: skip
            try:
                yield _until_up(folder, process)
            finally:
                process.kill()
                process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _until_up(folder: Path, process: subprocess.Popen[bytes]) -> Booted:
    def first() -> int:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    try:
        system = Booted(folder, eventually(first, timeout=10))
        eventually(lambda: "active" in system.run("systemctl", "is-active", "boot.target", check=False), timeout=20)
    except (AssertionError, OSError) as error:
        msg = f"systemd does not come up in namespaces here: {(folder / 'console.log').read_text(errors='replace')[-500:]}"
        raise CannotBoot(msg) from error
    return system


def _write_files(folder: Path) -> None:
    units = folder / "units"
    units.mkdir()
    for name in _UNITS:
        (units / f"{name}.target").write_text(f"[Unit]\nDescription={name}\nDefaultDependencies=no\n")
    # A Python that was built elsewhere looks for its own library where it was built.
    paths = "PYTHONPATH=/opt/source:/opt/libraries LD_LIBRARY_PATH=/opt/python/lib"
    (folder / "worker.conf").write_text(f"[Service]\nEnvironment={paths}\nStandardError=append:/opt/log/%i\n")
    program = folder / "outbox"
    program.write_text(f'#!/bin/sh\nexport {paths}\nexec {PYTHON} -P -m outbox "$@"\n')
    program.chmod(0o755)


@contextmanager
def _cgroup() -> Iterator[Path]:
    """A group of its own in the unified hierarchy, which systemd takes for the whole."""
    mounts = [line.split(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    tops = [Path(before.split()[4]) for before, after in mounts if after.split()[0] == "cgroup2"]
    if not tops:
        msg = "there is no cgroup2 hierarchy"
        raise CannotBoot(msg)
    group = tops[0] / f"outbox-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        msg = f"no group can be made: {error}"
        raise CannotBoot(msg) from error
    try:
        yield group
    finally:
        eventually(lambda: _is_removed(group), timeout=20)


def _is_removed(group: Path) -> bool:
    """Remove a group and those below it, as far as the last processes in them are gone."""
    try:
        for each in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            each.rmdir()
        group.rmdir()
    except OSError:
        return False
    return True
