"""What tests of the worker in trouble share: where messages stand, and how a worker is seen to have borne it."""

from __future__ import annotations

import json
import signal
import time

from sqlalchemy import func, select

from outbox.schema import message
from outbox.testing import ThreadedFakeServer
from support.databases import Database
from support.events import body
from support.waiting import eventually
from support.workers import WorkerProcess

BODY = json.dumps(body("minimal"))


def states(database: Database) -> dict[str, int]:
    """How many messages stand where."""
    with database.engine.connect() as connection:
        rows = connection.execute(select(message.c.state, func.count()).group_by(message.c.state))
        return {row[0]: row[1] for row in rows}


def until_delivered(database: Database, count: int, timeout: float = 45.0) -> None:
    """Wait until every message is delivered."""
    eventually(lambda: states(database) == {"delivered": count}, timeout=timeout, interval=0.05)


def stop(process: WorkerProcess) -> None:
    """Stop it as a deploy does; it must end well."""
    process.signal(signal.SIGTERM)
    assert process.wait() == 0, process.text


def complaints(process: WorkerProcess) -> list[str]:
    """What it said of its database: the lines that begin trouble, without their times."""
    return [line.partition("waiting: ")[2] for line in process.text.splitlines() if "waiting: " in line]


def bore_it(process: WorkerProcess, most: int) -> list[str]:
    """What it complained of: at most so many lines, none of them twice, and in the end it said that all is well."""
    said = complaints(process)
    assert 0 < len(said) <= most, process.text
    assert len(set(said)) == len(said), process.text
    assert process.text.rindex("the database works again") > process.text.rindex("waiting: ")
    return said


def until_quiet(destination: ThreadedFakeServer) -> None:
    """Wait until nothing arrives for as long as a worker takes for several rounds."""
    eventually(lambda: _is_quiet(destination))


def _is_quiet(destination: ThreadedFakeServer) -> bool:
    before = destination.count
    time.sleep(1.0)
    return destination.count == before
