"""The project's own files, for tests that are about them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FOLDERS = (".ci", "benchmarks", "docker", "docs", "examples", "migrations", "outbox", "tests")


@cache
def project_files() -> tuple[Path, ...]:
    """Every file that belongs to the project; what git ignores does not."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0 and listing.stdout:
        found = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:  # an unpacked source distribution
        found = [path for folder in _FOLDERS for path in (ROOT / folder).rglob("*")] + list(ROOT.glob("*"))
    return tuple(sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts))


def python_files(folder: str = ".") -> Iterator[Path]:
    """The Python files below one of the project's folders."""
    top = ROOT / folder
    return (path for path in project_files() if path.suffix == ".py" and path.is_relative_to(top))


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def place(path: Path, line: int = 0) -> str:
    """`outbox/message.py:12`, as an editor understands it."""
    name = path.relative_to(ROOT).as_posix()
    return f"{name}:{line}" if line else name
