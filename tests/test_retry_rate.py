"""Failed messages sent again at a rate: evenly, and what is live goes first."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import pytest
from sqlalchemy import func, select

from outbox.producer.ids import uuid7
from outbox.schema import message, utc_now
from outbox.store import Choice, Store
from outbox.testing import ThreadedFakeServer
from support.commands import Console, add
from support.databases import Database
from support.failures import BODY, fail_many
from support.rows import LEASE, put
from support.waiting import eventually
from support.workers import worker

COUNT, RATE = 300, 100.0


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def test_they_arrive_at_the_rate_and_live_ones_before_them(
    outbox: Console, database: Database, destination: ThreadedFakeServer, settings: dict[str, str], tmp_path: Path
) -> None:
    """From the first to the last it takes what the rate says, within a tenth; a live message does not wait its turn."""
    replayed = {str(each) for each in fail_many(database, {"bad": COUNT})["bad"]}
    live: dict[str, float] = {}
    with worker(tmp_path, settings) as running:
        running.until("outbox.worker: outbox")
        assert outbox("retry", "--all", "--rate", f"{RATE:g}/s", "--yes").code == 0
        for number in range(10):
            eventually(partial(has_come, destination, number * 20))
            live[str(add(database, id=uuid7(), body=BODY))] = time.monotonic()
        destination.wait_for(COUNT + 10)
    with database.engine.connect() as connection:
        first = connection.execute(
            select(func.min(message.c.due_at)).where(message.c.last_error.is_(None))
        ).scalar_one()
    last = max(each.at for each in destination.received if each.key in replayed)
    assert last - first.timestamp() == pytest.approx(COUNT / RATE, rel=0.1)
    waited = [each.monotonic - live[each.key] for each in destination.received if each.key in live]
    assert len(waited) == 10
    assert median(waited) < 0.5


def has_come(destination: ThreadedFakeServer, count: int) -> bool:
    """Whether so many have arrived."""
    return destination.count >= count


@contextmanager
def a_slow_retry(database: Database) -> Iterator[subprocess.Popen[bytes]]:
    """`outbox retry --all` of twenty a second, once it has begun."""
    command = [sys.executable, "-m", "outbox", "retry", "--all", "--rate", "20/s", "--yes"]
    running = subprocess.Popen(command, env=os.environ | {"OUTBOX_DATABASE_URL": database.url}, stdout=subprocess.PIPE)
    try:
        eventually(lambda: pending(database))
        yield running
    finally:
        running.kill()
        running.communicate()


def pending(database: Database) -> int:
    """How many are pending, and due now."""
    query = select(func.count()).where(message.c.state == "pending", message.c.due_at <= utc_now())
    with database.engine.connect() as connection:
        return connection.execute(query).scalar_one()


def test_no_key_waits_for_the_turn_of_a_failed_one(database: Database) -> None:
    """Messages with a key become pending at their turn and not before: a live one of the key is its head until then."""
    keys = [f"{place:02}" for place in range(24)]
    failed = [fail_many(database, {"bad": 1}, ordering_key=key)["bad"][0] for key in keys]
    with a_slow_retry(database) as running, closing(Store(database.engine)) as store:
        began = time.monotonic()
        live = put(database, ordering_key=keys[-1])
        assert pending(database) < 20
        claimed, _ = store.claim_heads("overcentric", Choice.ANY, limit=50, free=50, lease=LEASE, after=keys[-2])
        assert [each.id for each in claimed.messages] == live
        assert running.wait(20) == 0
        assert time.monotonic() - began == pytest.approx(len(keys) / 20, abs=0.4)
    with database.engine.connect() as connection:
        due = connection.execute(select(message.c.due_at).where(message.c.id.in_(failed))).scalars()
        gaps = sorted(due)
    assert (gaps[-1] - gaps[0]).total_seconds() == pytest.approx((len(keys) - 1) / 20, rel=0.15)
