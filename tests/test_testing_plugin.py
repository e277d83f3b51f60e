"""The pytest plugin, in test runs of its own; and the example that uses it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.project import ROOT

_HEAVY = (
    "sqlalchemy",
    "httptools",
    "pyreqwest",
    "click",
    "alembic",
    "uvloop",
    "outbox.testing.server",
    "outbox.worker",
)


def pytest_run(folder: Path, *arguments: str) -> str:
    """Run pytest with our plugin and no other, whether or not it is installed; it must succeed."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "-p",
        "outbox.testing.plugin",
    ]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_costs_nothing_until_it_is_used(tmp_path: Path) -> None:
    """Until a test asks for the fixture neither the server nor SQLAlchemy is imported; then the server is."""
    program = f"""
import sys

HEAVY = {_HEAVY!r}

def test_without():
    assert [name for name in HEAVY if name in sys.modules] == []

def test_with(outbox_server):
    assert "outbox.testing.server" in sys.modules
    assert "sqlalchemy" not in sys.modules
"""
    (tmp_path / "test_cost.py").write_text(program, encoding="utf-8")
    assert "2 passed" in pytest_run(tmp_path, "test_cost.py")


def test_each_test_has_a_server_of_its_own(tmp_path: Path) -> None:
    """It answers, and remembers nothing of another test."""
    program = """
import urllib.request
import pytest

@pytest.mark.parametrize("turn", [1, 2])
def test_it(outbox_server, turn):
    outbox_server.script = "204"
    assert outbox_server.url.startswith("http://127.0.0.1:")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(outbox_server.url, b"{}", timeout=10) as answer:
        assert answer.status == 204
    assert outbox_server.count == 1
"""
    (tmp_path / "test_servers.py").write_text(program, encoding="utf-8")
    assert "2 passed" in pytest_run(tmp_path, "test_servers.py")


def test_its_fixture_is_listed(tmp_path: Path) -> None:
    """`pytest --fixtures` says what it gives."""
    assert "fake Event API on the loopback interface" in pytest_run(tmp_path, "--fixtures")


def test_the_examples_test_passes(tmp_path: Path) -> None:
    """As a reader would run it, who has both files and no configuration."""
    for name in ("examples/plain_sqlalchemy.py", "examples/test_plain_sqlalchemy.py"):
        shutil.copy(ROOT / name, tmp_path)
    assert "3 passed" in pytest_run(tmp_path, "test_plain_sqlalchemy.py")
