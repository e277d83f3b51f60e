"""An outage with a backlog: what it costs the messages, how it is probed, and how it ends."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import func, select

from bars.bar import Bar, Figure
from bars.pace import most_within
from bars.rows import empty, fill
from bars.working import working
from outbox.schema import message
from outbox.testing import ThreadedFakeServer, fake_server
from support.databases import Database
from support.events import BODIES
from support.waiting import eventually

CONCURRENCY = 64
TRY_SECONDS = 3.0
SETTLED_SECONDS = 15.0
"""After so long every worker has noticed the outage, and what was in flight at its beginning has ended."""


def measure(
    database: Database,
    folder: Path,
    *,
    seconds: float = 90.0,
    messages: int = 20_000,
    workers: int = 4,
    kinds: Sequence[str] = ("500", "refused", "hang"),
) -> Iterator[Figure]:
    """Let the destination be down in each way for so many seconds, then let it come back."""
    for kind in kinds:
        empty(database)
        with fake_server("ok") as destination:
            yield from _outage(database, folder, destination, kind, seconds, messages, workers)


def _outage(
    database: Database,
    folder: Path,
    destination: ThreadedFakeServer,
    kind: str,
    seconds: float,
    messages: int,
    workers: int,
) -> Iterator[Figure]:
    what = f"{kind} for {seconds:g} s, {messages:,} pending, {workers} workers"
    _break(destination, kind)
    fill(database, messages, body=(BODIES / "minimal.json").read_text(encoding="utf-8"))
    settings = {"concurrency": CONCURRENCY, "try_timeout": f"{TRY_SECONDS}s", "pause_longest": "20s"}
    with working(database, folder, destination.url, workers=workers, **settings):
        began = time.monotonic()
        time.sleep(seconds)  # the outage's length, not a wait for something
        mended = time.monotonic()
        _mend(destination, kind)
        eventually(lambda: len(destination.accepted) >= messages, timeout=300, interval=0.2)
        drained = time.monotonic()
        eventually(lambda: not _count(database, "pending"), timeout=60)
    arrivals = [each.monotonic for each in destination.received]
    accepted = [each.monotonic for each in destination.received if each.accepted]
    probes = [at for at in arrivals if began + SETTLED_SECONDS <= at < mended]
    yield Figure(f"{what}: failed", _count(database, "failed"), most=0)
    yield Figure("most attempts charged to a message", _most_attempts(database), most=1)
    if kind != "refused":
        yield Figure("most probes in any second of the outage", most_within(probes, 1.0), most=1)
        yield Figure("probes", len(probes))
    first = min(accepted)
    yield Figure("accepted in the first second", bisect_left(accepted, first + 1.0), most=CONCURRENCY)
    yield Figure("seconds from the end until the first is accepted", first - mended, most=25.0, unit=" s", timed=True)
    yield Figure("seconds from there until all are", drained - first, unit=" s")


def _break(destination: ThreadedFakeServer, kind: str) -> None:
    if kind == "refused":
        destination.pause()
    else:
        destination.script = kind


def _mend(destination: ThreadedFakeServer, kind: str) -> None:
    if kind == "refused":
        destination.resume()
    else:
        destination.script = "ok"


def _count(database: Database, state: str) -> int:
    with database.engine.connect() as connection:
        query = select(func.count()).select_from(message).where(message.c.state == state)
        return connection.execute(query).scalar_one()


def _most_attempts(database: Database) -> int:
    with database.engine.connect() as connection:
        return int(connection.execute(select(func.max(message.c.attempts))).scalar_one())


BAR = Bar("outage", measure, short={"seconds": 6.0, "messages": 300, "workers": 2, "kinds": ("500",)})
