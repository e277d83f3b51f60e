"""The command line, called as a person calls it, and rows to look at."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from select import select as poll
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row, insert, select

from outbox.cli import run
from outbox.producer.ids import uuid7
from outbox.schema import attempt, message, utc_after, utc_now
from support.databases import Database
from support.events import BODIES


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, read as JSON."""
        return json.loads(self.out)

    @property
    def jsonl(self) -> list[Any]:
        """Standard output, read as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Console:
    """Runs `outbox …` against one database."""

    capsys: pytest.CaptureFixture[str]
    database: Database

    def __call__(self, *arguments: object) -> Ran:
        """Run it in this process."""
        self.capsys.readouterr()
        code = run([*map(str, arguments), "--database-url", self.database.url])
        captured = self.capsys.readouterr()
        return Ran(code, captured.out, captured.err)


def process(*arguments: object, stdin: bytes = b"", **environment: str) -> Ran:
    """Run `outbox …` as a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-m", "outbox", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env=os.environ | environment,
        check=False,
        timeout=60,
    )
    return Ran(finished.returncode, finished.stdout.decode(), finished.stderr.decode())


def at_a_terminal(answer: str, *arguments: str) -> tuple[int, str]:
    """Run `outbox …` on a pseudo-terminal and answer its question."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "outbox", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    screen = b""
    while b"[y/N]" not in screen:
        assert poll([ours], [], [], 30)[0], screen
        screen += os.read(ours, 1024)
    os.write(ours, f"{answer}\n".encode())
    try:
        while chunk := os.read(ours, 1024):
            screen += chunk
    except OSError:  # the other side is closed: on Linux an error, not an end
        pass
    os.close(ours)
    return process.wait(30), screen.decode()


def add(database: Database, **values: Any) -> UUID:
    """Add one message; a failed one has a reason and was settled now."""
    row: dict[str, Any] = {
        "id": uuid7(),
        "destination": "overcentric",
        "name": "document_exported",
        "body": MINIMAL,
    } | values
    if row.get("state") == "failed":
        row = {"failure_reason": "rejected", "settled_at": utc_now(), "last_error": "refused"} | row
    with database.engine.begin() as connection:
        connection.execute(insert(message).values(**row))
    added: UUID = row["id"]
    return added


def add_attempt(database: Database, message_id: UUID, **values: Any) -> None:
    """Add one row to a message's log of attempts."""
    row = {
        "message_id": message_id,
        "attempt": 1,
        "started_at": utc_after(-5.0),
        "duration_ms": 120,
        "tries": 2,
        "status": 503,
        "certainty": "unknown",
        "error": "503 Service Unavailable",
        "response": "try later",
    }
    with database.engine.begin() as connection:
        connection.execute(insert(attempt).values(**row | values))


def rows(database: Database) -> list[Row[Any]]:
    """All messages, oldest id first."""
    with database.engine.connect() as connection:
        return list(connection.execute(select(message).order_by(message.c.id)))


MINIMAL = (BODIES / "minimal.json").read_text(encoding="utf-8")
