"""What a real terminal receives."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from typing import Any

import pytest

from support.commands import add, add_attempt, process
from support.databases import Database

_STYLE = re.compile(rb"\x1b\[[0-9;]*m")
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b1m\r\n\u202e[bold]x[/bold]:smile:"

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def _on_terminal(*arguments: str, **environment: str) -> bytes:
    """Run `outbox …` with a pseudo-terminal as its standard output, and return every byte it wrote."""
    reader, writer = pty.openpty()
    settings = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR"}}
    settings |= {"TERM": "xterm-256color", "COLUMNS": "200", **environment}
    started: Any = subprocess.Popen([sys.executable, "-m", "outbox", *arguments], stdout=writer, env=settings)
    os.close(writer)
    received = b""
    try:
        while select.select([reader], [], [], 30)[0] and (part := _read(reader)):
            received += part
        assert started.wait(30) == 0
    finally:
        os.close(reader)
    return received


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 65536)
    except OSError:  # the other side has closed
        return b""


@pytest.mark.parametrize("command", [("list",), ("failed",), ("failed", "--by", "error"), ("failed", "--by", "name")])
def test_hostile_text_reaches_the_terminal_as_text(database: Database, command: tuple[str, ...]) -> None:
    """Of escape sequences, a terminal gets rich's colours and nothing that was stored; markup is no markup."""
    add(database, state="failed", name=HOSTILE, last_error=HOSTILE)
    received = _on_terminal(*command, "--database-url", database.url)
    plain = _STYLE.sub(b"", received)
    assert _STYLE.search(received)
    assert rb"\x1b[2J\x1b]0;owned\x07\x9b1m\r\n\u202e[bold]x[/bold]:smile:" in plain
    assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f\x9b]", plain)
    assert b"\xe2\x80\xae" not in plain


def test_a_shown_message_is_text_to_the_last_byte(database: Database) -> None:
    """Body, attempts and the destination's answers are what others wrote: none of it commands the terminal."""
    added = add(database, state="failed", name=HOSTILE, last_error=HOSTILE, body=HOSTILE, ordering_key=HOSTILE)
    add_attempt(database, added, error=HOSTILE, response=HOSTILE)
    plain = _STYLE.sub(b"", _on_terminal("show", str(added), "--database-url", database.url))
    assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f\x9b]", plain)
    assert b"\xe2\x80\xae" not in plain


def test_an_id_is_never_cut(database: Database) -> None:
    """On a narrow terminal the id stays whole, to be copied."""
    added = add(database, name="a_name_that_is_much_longer_than_what_is_left_of_the_line", last_error="e" * 200)
    received = _on_terminal("list", "--database-url", database.url, COLUMNS="40")
    assert str(added).encode() in received


def test_no_color_is_honoured(database: Database) -> None:
    """With NO_COLOR a terminal gets no colours."""
    add(database, state="failed")
    assert not re.search(
        rb"\x1b\[(?:[0-9;]*;)?3[0-7]", _on_terminal("list", "--database-url", database.url, NO_COLOR="1")
    )
    assert re.search(rb"\x1b\[(?:[0-9;]*;)?31", _on_terminal("list", "--database-url", database.url))


def test_a_pipe_gets_plain_text_without_rich(database: Database) -> None:
    """Off a terminal no escape sequence is written, and what a terminal or a migration needs is not imported."""
    add(database, state="failed", name=HOSTILE, last_error=HOSTILE)
    script = (
        "import sys; from outbox.cli import run; code = run(sys.argv[1:]);"
        "print(sorted({'rich', 'alembic', 'pyreqwest', 'tenacity', 'uvloop'} & set(sys.modules)), file=sys.stderr);"
        "sys.exit(code)"
    )
    for command in ("status", "list", "failed"):
        finished = subprocess.run(
            [sys.executable, "-c", script, command, "--database-url", database.url],
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert b"\x1b" not in finished.stdout
        assert finished.stderr == b"[]\n"


def test_a_reader_that_leaves_early_is_no_failure(database: Database) -> None:
    """`outbox list | head -1` ends quietly."""
    for _ in range(300):  # more than a pipe holds
        add(database, last_error="e" * 400)
    command = f"{sys.executable} -m outbox list --jsonl --limit 0 --database-url {database.url} | head -c 1"
    finished = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, check=False, timeout=60
    )
    assert finished.stderr == b""


def test_an_ascii_pipe_is_no_failure(database: Database) -> None:
    """A name that the pipe's character set lacks is escaped."""
    add(database, name="größe")
    ran = process("list", "--database-url", database.url, PYTHONIOENCODING="ascii")
    assert (ran.code, ran.err) == (0, "")
    assert r"gr\xf6\xdfe" in ran.out
