"""A change of many that is cut off half-way says how far it came, and goes on where it was."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from outbox.schema import message, utc_now
from outbox.store.engine import write_transaction
from outbox.store.selection import PAGE
from support.commands import process
from support.databases import Database
from support.failures import by_error, fail_many
from support.waiting import eventually

COUNT = 10 * PAGE


@pytest.fixture
def ids(database: Database) -> list[UUID]:
    """The messages that are to be sent again, before others that are not."""
    found = fail_many(database, {"bad": COUNT})["bad"]
    fail_many(database, {"other": 700})
    return found


def pending(database: Database) -> int:
    """How many are pending."""
    with database.engine.connect() as connection:
        return connection.execute(select(func.count()).where(message.c.state == "pending")).scalar_one()


@contextmanager
def half_done(database: Database, ids: list[UUID]) -> Iterator[tuple[subprocess.Popen[str], Callable[[], None]]]:
    """`outbox retry` in the middle of its work, where it waits for a lock; and what takes the lock away."""
    command = [sys.executable, "-m", "outbox", "retry", "--error", "bad", "--yes"]
    settings = os.environ | {"OUTBOX_DATABASE_URL": database.url}
    with database.engine.connect() as connection:
        lock = write_transaction(connection)
        if database.kind != "sqlite":
            lock.execute(select(message.c.id).where(message.c.id == ids[COUNT // 2]).with_for_update()).one()
        running = subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            if database.kind == "sqlite":
                eventually(lambda: pending(database), interval=0.001)
                lock.begin()
            else:
                eventually(lambda: pending(database) == COUNT // 2)
            yield running, lock.rollback
        finally:
            running.kill()
            running.communicate()


def fail_again(database: Database, count: int = 50) -> int:
    """Let some of those that were sent again fail once more, now."""
    with database.engine.begin() as connection:
        ids = connection.execute(select(message.c.id).where(message.c.state == "pending").limit(count)).scalars().all()
        failed = {"state": "failed", "failure_reason": "rejected", "settled_at": utc_now()}
        return connection.execute(update(message).where(message.c.id.in_(ids)).values(failed)).rowcount


def go_on(database: Database, command: str) -> str:
    """Run the command that was printed."""
    words = shlex.split(command)
    assert words[:2] == ["outbox", "retry"]
    ran = process(*words[1:], OUTBOX_DATABASE_URL=database.url)
    assert ran.code == 0, ran.err
    return ran.out


def the_rest(database: Database, done: int, command: str) -> None:
    """Go on after some have failed again: the rest is sent again, and none of those."""
    again = fail_again(database)
    assert f"{COUNT - done:,} failed messages match" in go_on(database, command)
    assert by_error(database, "pending") == {"bad": COUNT - again}
    assert by_error(database, "failed") == {"bad": again, "other": 700}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_step(database: Database, ids: list[UUID], number: signal.Signals) -> None:
    """Exit 130 or 143. It says how many are done, and prints the command that does the rest, and nothing twice."""
    with half_done(database, ids) as (running, release):
        running.send_signal(number)
        release()
        _, err = running.communicate(timeout=20)
        assert running.returncode == 128 + number, err
    done = pending(database)
    assert 0 < done < COUNT
    *_, record, told = err.splitlines()
    assert record.endswith(f"; messages changed: {done}")
    assert "was interrupted: outbox retry --error bad --failed-before " in record
    assert told.startswith(f"outbox: interrupted: {done:,} of {COUNT:,} done. To go on: ")
    the_rest(database, done, told.partition("To go on: ")[2])


def test_a_kill_leaves_what_was_done(database: Database, ids: list[UUID]) -> None:
    """Each step is a transaction of its own; the record of the beginning holds the command that does the rest."""
    with half_done(database, ids) as (running, release):
        running.kill()
        _, err = running.communicate(timeout=20)
        done = pending(database)
        release()
    assert 0 < done < COUNT
    (record,) = err.splitlines()
    command = record.partition("begins: ")[2].partition(";")[0]
    the_rest(database, done, f"{command} --yes")


def test_a_second_signal_ends_it_at_once(database: Database, ids: list[UUID]) -> None:
    """Whoever does not want to wait for a lock need not; what was done is told all the same."""
    with half_done(database, ids) as (running, _):
        eventually(lambda: handles(running.pid, signal.SIGINT))
        running.send_signal(signal.SIGINT)
        eventually(lambda: not handles(running.pid, signal.SIGTERM))
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=20)
        assert running.returncode == 130, err
    assert f"outbox: interrupted: {pending(database):,} of {COUNT:,} done." in err


def handles(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal."""
    caught = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)
