"""What a real terminal receives."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from outbox.schema import utc_after, utc_now, worker
from outbox.store.url import shown_url
from support.commands import add, add_attempt, process
from support.databases import Database

_STYLE = re.compile(rb"\x1b\[[0-9;]*m")
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b1m\r\n\u202e[bold]x[/bold]:smile:"

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def _on_terminal(*arguments: str, columns: int = 200, stream: str = "stdout", **environment: str) -> bytes:
    """Run `outbox …` with a pseudo-terminal of some width as its output, and return every byte it wrote."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    settings = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    settings |= {"TERM": "xterm-256color", **environment}
    command = [sys.executable, "-m", "outbox", *arguments]
    streams: Any = {"stdout": subprocess.DEVNULL, stream: writer}
    started: Any = subprocess.Popen(command, env=settings, **streams)
    os.close(writer)
    received = b""
    try:
        while select.select([reader], [], [], 30)[0] and (part := _read(reader)):
            received += part
        assert started.wait(30) == 0
    finally:
        os.close(reader)
    return received


def _lines(*arguments: str, columns: int) -> list[str]:
    """What stands on the terminal, without colours."""
    return _STYLE.sub(b"", _on_terminal(*arguments, columns=columns)).decode().splitlines()


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 65536)
    except OSError:  # the other side has closed
        return b""


_SHOWN = rb"\x1b[2J\x1b]0;owned\x07\x9b1m\r\n\u202e[bold]x[/bold]:smile:"
_ALIKE = rb"\x1b[#\x1b]#;owned\x07\x9b#\r\n\u202e[bold]x[/bold]:smile:"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (("list",), _SHOWN),
        (("failed",), _SHOWN),
        (("failed", "--by", "error"), _ALIKE),
        (("failed", "--by", "name"), _SHOWN),
        (("status",), _ALIKE),
        (("list", "--csv"), _SHOWN),
    ],
    ids=["list", "failed", "by-error", "by-name", "status", "csv"],
)
def test_hostile_text_reaches_the_terminal_as_text(database: Database, command: tuple[str, ...], shown: bytes) -> None:
    """Of escape sequences, a terminal gets rich's colours and nothing that was stored; markup is no markup."""
    add(database, state="failed", name=HOSTILE, last_error=HOSTILE)
    with database.engine.begin() as connection:
        connection.execute(insert(worker).values(id=uuid4(), host=HOSTILE, pid=1, version=HOSTILE, trouble=HOSTILE))
    received = _on_terminal(*command, "--database-url", database.url)
    plain = _STYLE.sub(b"", received)
    assert bool(_STYLE.search(received)) == ("--csv" not in command)
    assert shown in plain
    assert (plain.count(_SHOWN) >= 4) == (command == ("status",))
    assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f\x9b]", plain)
    assert b"\xe2\x80\xae" not in plain


@pytest.mark.parametrize(
    "command",
    [
        "list",
        "failed",
        "failed --by error",
        "failed --by name",
        "status",
        "check",
        "failed --csv",
        "show",
        "show --curl",
    ],
)
def test_a_megabyte_of_hostile_text_is_text(database: Database, command: str) -> None:
    """SQLite keeps names and errors of any length: what is shown of them ends, and commands no terminal."""
    hostile = HOSTILE * (1024 * 1024 // len(HOSTILE))
    added = add(database, state="failed", name=hostile, last_error=hostile, body=hostile)
    name, *options = command.split()
    identity = [str(added)] if name == "show" else []
    ran = process(name, *identity, *options, "--database-url", database.url)
    assert (ran.code, ran.err) == (2 if name == "check" else 0, "")
    assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", ran.out.replace("\r\n", "\n"))


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
    received = _on_terminal("list", "--database-url", database.url, columns=40)
    assert str(added).encode() in received


def _three(database: Database) -> None:
    purchase = {"name": "$subscription_purchase", "attempts": 17}
    add(database, id=UUID("0199f0c2-7a5e-7cc3-98c4-000000000001"), state="delivered", settled_at=utc_now(), **purchase)
    add(database, id=UUID("0199f0c2-7a5e-7cc3-98c4-000000000002"), due_at=utc_after(9000.0), **purchase)
    add(
        database,
        id=UUID("0199f0c2-7a5e-7cc3-98c4-000000000003"),
        state="failed",
        name="a_name_that_is_longer_than_most",
        last_status=400,
        last_error="HTTP 400 Bad Request: " + "x" * 200,
        created_at=utc_after(-300.5),
    )


def test_a_list_on_a_wide_terminal_is_a_line_for_each_message(database: Database) -> None:
    """What does not fit is cut in the note first, then in the name; all else stands whole."""
    _three(database)
    lines = _lines("list", "--database-url", database.url, columns=120)
    assert [line.split() for line in lines[:1]] == [["ID", "STATE", "NAME", "FAILS", "CREATED", "NOTE"]]
    assert re.fullmatch(
        r"0199f0c2-7a5e-7cc3-98c4-000000000003  failed     a_name_that_is_longer_than…      0  5 min ago  "
        r"rejected, 400, HTTP 400… *",
        lines[1],
    )
    assert re.fullmatch(r"\S{36}  pending    \$subscription_purchase +17  (just now|\d+ s ago)  +due in 2 h", lines[2])
    assert len(lines) == 4
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize(
    ("columns", "titles"),
    [
        (80, ["ID STATE NAME", "FAILS CREATED NOTE"]),
        (60, ["ID STATE", "NAME FAILS CREATED", "NOTE"]),
    ],
)
def test_a_list_on_a_narrow_terminal_breaks_between_columns(
    database: Database, columns: int, titles: list[str]
) -> None:
    """Columns that do not fit go on in an indented line below; no word is broken, and only name and note are cut."""
    _three(database)
    lines = _lines("list", "--database-url", database.url, columns=columns)
    assert [" ".join(line.split()) for line in lines[: len(titles)]] == titles
    assert max(map(len, lines)) <= columns
    words = " ".join(lines).split()
    for whole in ("pending", "delivered", "failed", "$subscription_purchase", "17", "0"):
        assert whole in words
    assert "5 min ago" in "\n".join(lines)
    assert [line[:36] for line in lines if line.startswith("0199")] == [
        f"0199f0c2-7a5e-7cc3-98c4-00000000000{number}" for number in (3, 2, 1)
    ]
    assert any("rejected, 400, HTTP 400 Bad Request: " in line and line.endswith("…") for line in lines)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_counts_by_cause_show_the_whole_cause(database: Database, columns: int) -> None:
    """Short causes stand in their column where there is room; a long one has its own line, and loses nothing."""
    _three(database)
    add(database, state="failed", last_error="timeout")
    lines = _lines("failed", "--by", "error", "--database-url", database.url, columns=columns)
    assert "  HTTP 400 Bad Request: " + "x" * 200 in lines
    assert "0199f0c2-7a5e-7cc3-98c4-000000000003" in "\n".join(lines).split()
    assert sum(line.endswith("  timeout") for line in lines) == 1
    assert all(len(line) <= columns for line in lines if "xxx" not in line)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_settings_are_shown_whole(database: Database, columns: int) -> None:
    """Whatever the width, no setting's name, value or origin is broken or cut."""
    lines = _lines("config", "show", "--database-url", database.url, "--retry-schedule", "5s,1m", columns=columns)
    words = " ".join(lines).split()
    expected = ("OUTBOX_OCCURRED_AT_PROPERTY", "https://app.overcentric.com/api/v1/event", "5s,1m", "flag", "default")
    for whole in (*expected, shown_url(database.engine.url)):
        assert whole in words
    assert "…" not in "".join(words)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_shown_message_has_whole_times_and_answers(database: Database, columns: int) -> None:
    """The attempts' times stay in one piece, and what went wrong is readable to its end."""
    added = add(database, state="failed", last_error="refused")
    for number in (1, 2):
        add_attempt(database, added, attempt=number, error="503 Service Unavailable", response="y" * 150)
    lines = _lines("show", str(added), "--database-url", database.url, columns=columns)
    words = " ".join(lines).split()
    assert sum(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", word) is not None for word in words) == 2
    assert lines.count("  " + "y" * 150) == 2
    assert sum("503 Service Unavailable" in line for line in lines) == 2


@pytest.mark.parametrize("columns", [40, 60])
def test_log_lines_beside_the_bar_are_left_to_the_terminal_to_wrap(database: Database, columns: int) -> None:
    """While a drain shows its bar, each log line is one line, so that its URL and ids can be copied."""
    added = add(database)
    arguments = ("worker", "--drain", "--delivery", "log", "--database-url", database.url)
    received = _on_terminal(*arguments, columns=columns, stream="stderr")
    assert b"Delivering" in received
    assert b"-> overcentric at https://app.overcentric.com/api/v1/event, concurrency 64\r\n" in received
    assert f"would send {added} document_exported\r\n".encode() in received


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
