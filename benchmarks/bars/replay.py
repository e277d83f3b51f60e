"""Failed messages sent again at a rate beside live traffic: what that costs the live ones, and whether the counts agree."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bars.application import engine_of, enqueue
from bars.bar import Bar, Figure
from bars.rows import empty, set_journal
from bars.working import working
from outbox.testing import ThreadedFakeServer, fake_server
from support.databases import Database
from support.failures import CAUSES, by_error, fail_many
from support.waiting import eventually
from support.workers import environment, run

WORSE = 2.0
"""How many times as long one of a hundred live events may take beside the others."""


def measure(
    database: Database,
    folder: Path,
    *,
    causes: Mapping[str, int] = CAUSES,
    rate: int = 100,
    live: int = 20,
    seconds: float = 30.0,
    journals: Sequence[str] = ("delete", "wal"),
) -> Iterator[Figure]:
    """Commit so many events a second, without and then with one cause of three being sent again."""
    for journal in journals if database.kind == "sqlite" else ("",):
        empty(database)
        if journal:
            set_journal(database, journal)
        ids = fail_many(database, dict(causes))
        cause, *others = causes
        with (
            fake_server("ok") as destination,
            working(database, folder, destination.url) as (process,),
            closing(_Application(database, destination, live)) as application,
        ):
            process.until("concurrency", timeout=60)
            application.works(min(seconds, 2.0))  # loads what the first ones would wait for
            alone = application.works(seconds)
            _retry(database, destination, cause, rate)
            beside = application.works(seconds)
            wanted = Counter([*application.ids, *map(str, ids[cause])])
            destination.wait_for(wanted.total(), timeout=300)
            eventually(partial(_is_settled, database), timeout=60)
            arrived = Counter(destination.keys)
        title = f"{journal} live p99 {alone.p99:.0f} ms at {live}/s".strip()
        what = f"{title}; with a retry of {len(ids[cause]):,} of {sum(causes.values()):,} at {rate}/s"
        yield Figure(what, beside.p99, most=alone.p99 * WORSE, unit=" ms", timed=True)
        yield Figure(f"their COMMITs' p99, {alone.commit_p99:.0f} ms before", beside.commit_p99, unit=" ms")
        yield Figure("missing, unasked for or sent twice", _apart(arrived, wanted), most=0)
        left = Counter({each: causes[each] for each in others})
        yield Figure("not as they were, of the other causes", _apart(by_error(database, "failed"), left), most=0)


def _is_settled(database: Database) -> bool:
    return not by_error(database, "pending")


def _retry(database: Database, destination: ThreadedFakeServer, cause: str, rate: int) -> None:
    """Let an operator send one cause again: the command ends at once, the turns are in the rows."""
    done = run(environment(database.url, destination.url), "retry", "--error", cause, "--rate", f"{rate}/s", "--yes")
    if done.returncode:
        raise RuntimeError(done.stderr)


@dataclass(frozen=True)
class _Felt:
    """Milliseconds of each live event: its transaction, and from its end to the arrival."""

    commits: list[float]
    latencies: list[float]

    @property
    def p99(self) -> float:
        """What one of a hundred arrivals exceeds."""
        return _p99(self.latencies)

    @property
    def commit_p99(self) -> float:
        """What one of a hundred transactions exceeds."""
        return _p99(self.commits)


def _p99(times: Sequence[float]) -> float:
    return sorted(times)[len(times) * 99 // 100]


def _apart(one: Counter[str], other: Counter[str]) -> int:
    return ((one - other) + (other - one)).total()


class _Application:
    """Commits live events, and learns when each arrives."""

    def __init__(self, database: Database, destination: ThreadedFakeServer, live: int) -> None:
        self.ids: list[str] = []
        self._engine = engine_of(database)
        self._destination = destination
        self._gap = 1.0 / live
        self._generator = random.Random(1)  # noqa: S311 - paces, guards nothing

    def works(self, seconds: float) -> _Felt:
        """Commit for so long, and wait until all of it has arrived."""
        began, committed = dict[str, float](), dict[str, float]()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(self._generator.uniform(0.0, 2 * self._gap))
            at = time.monotonic()
            made = str(enqueue(self._engine))
            began[made], committed[made] = at, time.monotonic()
        self.ids += committed
        eventually(lambda: committed.keys() <= self._destination.keys.keys(), timeout=60, interval=0.02)
        arrived = {each.key: each.monotonic for each in reversed(self._destination.received)}
        return _Felt(
            [(at - began[made]) * 1000 for made, at in committed.items()],
            [(arrived[made] - at) * 1000 for made, at in committed.items()],
        )

    def close(self) -> None:
        """Disconnect."""
        self._engine.dispose()


SMALL = {"HTTP 400 Bad Request": 250, "HTTP 503 Service Unavailable": 300, "connection reset": 150}

BAR = Bar("replay", measure, short={"causes": SMALL, "seconds": 2.0, "journals": ("wal",)})
