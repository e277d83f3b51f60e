"""The bars of `make bars`, in small. What depends on the machine's load may miss its bar here by a wide margin."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bars import (
    enqueue,
    hostile,
    imports,
    inserts,
    keyed_backlog,
    latency,
    one_key,
    ordering,
    replay,
    scale,
    snapshot,
    stops,
    wakeups,
)
from bars.__main__ import measured
from bars.bar import Bar
from support.databases import KINDS, Database

SLACK = 10.0


def small(bar: Bar, database: Database, folder: Path, slack: float = SLACK) -> None:
    """Measure in small; what is exact must be reached, what is timed not be missed by far."""

    @contextmanager
    def fresh() -> Iterator[Database]:
        yield database

    figures = list(measured(bar, fresh, folder, short=True))
    assert any(figure.wanted for figure in figures)
    assert [figure for figure in figures if not figure.holds(slack)] == []


def test_each_key_keeps_its_order(database: Database, tmp_path: Path) -> None:
    """While workers are killed and the destination fails, each key's events arrive for the first time in their order."""
    small(ordering.BAR, database, tmp_path)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_an_old_snapshot_does_not_make_claims_dearer(database: Database, tmp_path: Path) -> None:
    """Claims that go on from the watermark touch no more pages late than early, whoever holds a snapshot."""
    small(snapshot.BAR, database, tmp_path)


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_a_keyed_backlog_leaves_the_others_their_speed(database: Database, tmp_path: Path) -> None:
    """Many messages of one key do not hold up those without a key."""
    small(keyed_backlog.BAR, database, tmp_path)


def test_one_key_runs_on(database: Database, tmp_path: Path) -> None:
    """A key's messages follow each other without a pause in between."""
    small(one_key.BAR, database, tmp_path)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_application_goes_on_beside_workers(database: Database, tmp_path: Path) -> None:
    """Producers get no error while workers claim and settle."""
    small(inserts.BAR, database, tmp_path, math.inf)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_stops_lose_nothing(database: Database, tmp_path: Path) -> None:
    """Workers stopped in a backlog send nothing twice and charge nothing; idle ones and those told twice end at once."""
    small(stops.BAR, database, tmp_path)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_misbehaviour_by_the_hundred(database: Database, tmp_path: Path) -> None:
    """Every try ends in time with one outcome, and the memory that many connections take is not passed."""
    small(hostile.BAR, database, tmp_path)


def test_enqueue_beside_a_bare_insert(database: Database, tmp_path: Path) -> None:
    """Both write every row, in every place; how long they take is for the long form."""
    small(enqueue.BAR, database, tmp_path, math.inf)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_import_beside_the_orm_s(database: Database, tmp_path: Path) -> None:
    """`import outbox` is not slower than SQLAlchemy's own import by far."""
    small(imports.BAR, database, tmp_path)


def test_an_idle_system_delivers_soon_and_rests(database: Database, tmp_path: Path) -> None:
    """A commit is found soon, and a worker that has nothing to do asks seldom."""
    small(latency.BAR, database, tmp_path)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_committers_bear_wake_ups(database: Database, tmp_path: Path) -> None:
    """Who wakes workers commits as fast as who does not."""
    small(wakeups.BAR, database, tmp_path)


def test_every_kind_is_known() -> None:
    """No bar is left out for a misspelt database."""
    from bars import BARS

    assert {kind for bar in BARS.values() for kind in bar.kinds} == set(KINDS)


def test_a_large_table_costs_no_more(database: Database, tmp_path: Path) -> None:
    """Claims and settles cost the same beside many settled messages; a purge removes those."""
    small(scale.BAR, database, tmp_path)


def test_a_replay_leaves_live_traffic_its_speed(database: Database, tmp_path: Path) -> None:
    """One cause of three is sent again at a rate; live events go on, each arrives once, the other causes stay as they are."""
    small(replay.BAR, database, tmp_path)
