"""An environment for each peer, and one for the plots, below `.bench/`: made at the first use, versions pinned."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.child import ROOT

PLACE = ROOT / ".bench"
_REQUIREMENTS = ROOT / "benchmarks" / "peers" / "requirements"


class EnvironmentMissing(Exception):
    """An environment could not be made."""


def requirements(name: str) -> Path:
    """The file that pins an environment's packages."""
    file = _REQUIREMENTS / f"{name}.txt"
    return file if file.exists() else _REQUIREMENTS / name / "package.json"


def is_ready(name: str) -> bool:
    """Whether an environment is there, made from what is pinned now."""
    stamp = PLACE / name / "made-from"
    return stamp.exists() and stamp.read_text() == requirements(name).read_text()


def ready(name: str) -> Path:
    """Give an environment's folder; make it, or make it anew, where `is_ready` says no. Raises `EnvironmentMissing`."""
    folder, pinned = PLACE / name, requirements(name)
    if not is_ready(name):
        print(f"making {folder.relative_to(ROOT)} ...", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (_node if pinned.name == "package.json" else _python)(folder, pinned)
        (folder / "made-from").write_text(pinned.read_text())
    return folder


def python(name: str) -> Path:
    """The interpreter of an environment."""
    return ready(name) / "bin" / "python"


def version(name: str) -> str:
    """The pinned version of the package that an environment is named after."""
    lines = requirements(name).read_text().replace('"', "").replace(": ", "==").splitlines()
    found = next(line.strip(" ,") for line in lines if line.strip().startswith(f"{name}=="))
    return found.partition("==")[2]


def _python(folder: Path, pinned: Path) -> None:
    _run(sys.executable, "-m", "venv", folder)
    _run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", pinned)


def _node(folder: Path, pinned: Path) -> None:
    if shutil.which("npm") is None:
        msg = "npm is not installed; on Debian: apt install npm"
        raise EnvironmentMissing(msg)
    shutil.copy(pinned, folder)
    _run("npm", "install", "--prefix", folder, "--no-package-lock", "--no-audit", "--no-fund", "--silent")


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"{command[0]} failed: {done.stdout[-1000:]}{done.stderr[-1000:]}"
        raise EnvironmentMissing(msg)
