"""Looks that cannot be had: one clear line, the right exit code, no traceback, no password."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from outbox._version import __version__
from outbox.cli import run
from support.commands import Console, add, process
from support.databases import Database
from support.events import BODIES

CANARY = "s3cret-canary"
LOOKS: list[tuple[object, ...]] = [
    ("status", "--json"), ("list",), ("list", "--jsonl"), ("failed", "--by", "error"), ("failed", "--csv"), ("show", uuid4()), ("retry", uuid4()),
    ("enqueue", BODIES / "minimal.json"),
]  # fmt: skip


def _one_line(text: str) -> None:
    assert text.count("\n") == 1, text
    assert text.startswith("outbox: ")
    assert "Traceback" not in text
    assert CANARY not in text


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look[0])
def test_missing_tables(capsys: pytest.CaptureFixture[str], empty_database: Database, look: tuple[object, ...]) -> None:
    """Exit 4, and the command that makes them."""
    ran = Console(capsys, empty_database)(*look)
    assert (ran.code, ran.out) == (4, "")
    _one_line(ran.err)
    assert "outbox db upgrade" in ran.err


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look[0])
def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path, look: tuple[object, ...]) -> None:
    """Exit 4 with the absolute path; no empty file is left behind."""
    path = tmp_path / "mistyped.db"
    ran = Console(capsys, Database("sqlite", f"sqlite:///{path}"))(*look)
    assert (ran.code, ran.out) == (4, "")
    _one_line(ran.err)
    assert str(path) in ran.err
    assert not path.exists()


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look[0])
@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_database_that_does_not_answer(
    capsys: pytest.CaptureFixture[str], look: tuple[object, ...], scheme: str
) -> None:
    """Exit 69, the place without the password."""
    ran = Console(capsys, Database("none", f"{scheme}://app:{CANARY}@127.0.0.1:1/shop"))(*look)
    assert (ran.code, ran.out) == (69, "")
    _one_line(ran.err)
    assert "127.0.0.1:1" in ran.err


@pytest.mark.parametrize(
    "url", [f"oracle://app:{CANARY}@db/shop", f"app:{CANARY}@db", f"mysql+{CANARY}://x", "sqlite:///%%/\0"]
)
def test_a_url_that_is_none(capsys: pytest.CaptureFixture[str], url: str) -> None:
    """A wrong URL is a configuration error, and never shown whole."""
    ran = Console(capsys, Database("none", url))("status")
    assert ran.code in {4, 78}
    _one_line(ran.err)


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_wrong_password_is_not_shown(capsys: pytest.CaptureFixture[str], database: Database) -> None:
    """The server's refusal comes through, the password does not."""
    wrong = database.engine.url.set(username="nobody", password=CANARY).render_as_string(hide_password=False)
    ran = Console(capsys, Database(database.kind, wrong))("status")
    assert ran.code in {0, 69}  # a server that trusts its socket asks for none
    assert CANARY not in ran.out + ran.err


def test_a_look_that_fails_as_a_process() -> None:
    """A true process: the exit code, one line, no traceback."""
    ran = process("status", OUTBOX_DATABASE_URL=f"postgresql://app:{CANARY}@127.0.0.1:1/shop")
    assert (ran.code, ran.out) == (69, "")
    _one_line(ran.err)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("look", ["list", "list --jsonl", "status --json", "--help", "version", "--version"])
def test_a_full_disk_behind_standard_output(database: Database, look: str) -> None:
    """Exit 1 and one line, whatever was to be written."""
    add(database)
    command = [sys.executable, "-m", "outbox", *look.split()]
    if look[0] in "ls":
        command += ["--database-url", database.url]
    with Path("/dev/full").open("wb") as full:
        finished = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)
    assert finished.returncode == 1
    _one_line(finished.stderr.decode())
    assert b"No space left on device" in finished.stderr
    assert b"standard output cannot be written" in finished.stderr or look not in {
        "list",
        "list --jsonl",
        "status --json",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lst"], "'lst' (did you mean list?). See: outbox --help"),
        (["frobnicate"], "'frobnicate'. See: outbox --help"),
        (["worker", "--endpiont"], "(did you mean --endpoint?). See: outbox worker --help"),
        (["worker", "--drain?"], "(did you mean --drain or --drain-timeout?). See: outbox worker --help"),
        (["show"], "Missing argument 'ID'. See: outbox show --help"),
        (["list", "extra"], "Got unexpected extra argument (extra). See: outbox list --help"),
    ],
)
def test_a_mistyped_command_line(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    """Exit 2, one sentence, what may be meant, and where to read on."""
    assert run(arguments) == 2
    text = capsys.readouterr().err
    _one_line(text)
    assert text.endswith(f"{said}\n")


def test_the_version_is_a_command_and_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    """Both print the same."""
    for word in ("version", "--version"):
        assert run([word]) == 0
        assert capsys.readouterr().out == f"{__version__}\n"
