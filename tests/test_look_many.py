"""Looks at a big table: what they tell, and that on MariaDB they read neither what is delivered nor each body that waits."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing

import pytest
from sqlalchemy import Connection, insert

from bars.explaining import explaining
from outbox.doctor.finding import Level
from outbox.doctor.work import messages
from outbox.producer.ids import uuid7
from outbox.schema import message, utc_after, utc_now
from outbox.service.metrics.collector import _backlog
from outbox.service.metrics.figures import Figures
from outbox.settings import Settings
from outbox.store import Store
from outbox.store.look import health, oldest_due, standing
from outbox.store.look import status as status_module
from outbox.store.waiting import due, strangers
from support.commands import Console
from support.databases import Database

_DELIVERED = 300

mariadb_only = pytest.mark.parametrize("database", ["mariadb"], indirect=True)


@pytest.fixture
def full(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Fill the table: much is delivered, and more is pending than is looked at one by one."""
    monkeypatch.setattr(status_module, "EXACT_BELOW", 30)
    done = {"state": "delivered", "settled_at": utc_now(), "due_at": utc_after(-60.0)}
    held = {"claim_token": uuid7(), "claimed_until": utc_after(60.0)}
    _add(database, _DELIVERED, **done)
    _add(database, _DELIVERED, **done, destination="all_done")
    _add(database, 20, due_at=utc_after(-120.0))
    _add(database, 4, due_at=utc_after(-180.0), **held)
    _add(database, 6, due_at=utc_after(3600.0), last_error="HTTP 503")
    _add(database, 10, due_at=utc_after(-90.0), ordering_key="a", destination="crm")
    _add(database, 1, state="failed", settled_at=utc_now(), failure_reason="rejected", last_error="refused")
    analyze = {"postgresql": "ANALYZE outbox_message", "mariadb": "ANALYZE TABLE outbox_message"}.get(database.kind)
    if analyze:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(analyze)
    return database


def _add(database: Database, count: int, **values: object) -> None:
    row = {"destination": "overcentric", "name": "thing_done", "body": "{}", "due_at": utc_now()} | values
    with database.engine.begin() as connection:
        for _ in range(count):
            connection.execute(insert(message).values(id=uuid7(), **row))


def test_a_backlog_too_big_to_look_at_each(full: Database) -> None:
    """MariaDB counts it by an index, which knows no claims, and says so; the others count as ever."""
    with full.engine.connect() as connection:
        found = standing(connection, ("overcentric",))
    by_index = full.kind == "mariadb"
    assert (found.pending, found.scheduled, found.failed) == (40, 6, 1)
    assert (found.due, found.claimed, found.retrying) == ((34, None, None) if by_index else (30, 4, 6))
    assert found.oldest_due_seconds is not None
    assert (found.oldest_due_seconds > 150) == by_index, "those that are claimed were due first"
    assert found.unconfigured == [("crm", 10)]


@mariadb_only
def test_status_says_what_was_not_counted(full: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """In words on the screen, null in the object; and nothing is said of workers that hold nothing."""
    outbox = Console(capsys, full)
    with closing(Store(full.engine)) as store:
        store.heartbeat(uuid7(), "shop-1", 4711, "0", None)
    shown = outbox("status").out
    assert re.search(r"^claimed +not counted$", shown, re.MULTILINE)
    assert "34 due, the oldest for 3 min." in shown
    assert "hold nothing" not in shown
    found = outbox("status", "--json").json
    assert found["claimed"] is found["retrying"] is None


@mariadb_only
@pytest.mark.parametrize(
    ("look", "most"),
    [
        (lambda connection: strangers(connection, ()), 20),
        (lambda connection: oldest_due(connection, ()), 80),
        (health, 80),
        (lambda connection: due(connection, "overcentric"), 80),
        (status_module.counted, 160),
    ],
)
def test_what_is_delivered_is_not_read(full: Database, look: Callable[[Connection], object], most: int) -> None:
    """MariaDB's indexes have every state: a look passes over what is delivered, however much that is."""
    with full.engine.connect() as connection:
        before = _reads(connection)
        look(connection)
        read = _reads(connection) - before
    assert 0 < read <= most < _DELIVERED


@mariadb_only
def test_no_body_of_what_waits_is_read(full: Database) -> None:
    """What counts a backlog of millions goes by the index that needs no row."""
    names = {"names": ["overcentric"]}
    with explaining(full.engine) as plans, full.engine.connect() as connection:
        connection.execute(status_module._counts(exact=False, by_index=True), names)
        connection.execute(status_module._due_by_destination(), names)
        due(connection, "overcentric")
    looks = [row for plan in plans for row in plan.rows if str(row["table"]).startswith("outbox_message")]
    of_pending = [row for row in looks if row["key"] != "outbox_message_failed"]
    assert len(of_pending) == 6
    # Not by the optimiser's choice, which statistics may change: it is given this one alone.
    assert {row["possible_keys"] for row in of_pending} == {"outbox_message_pending"}
    assert all("Using index" in row["Extra"] for row in of_pending)


def _reads(connection: Connection) -> int:
    """Rows and index entries that this connection has read; asking reads none of them."""
    found = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'").all()
    connection.rollback()
    return sum(int(value) for _name, value in found)


def test_strangers_wait_for_something(full: Database) -> None:
    """A destination is told of while messages wait for it, with a key or without; not when all is delivered."""
    with full.engine.connect() as connection:
        assert strangers(connection, ()) == ["crm", "overcentric"]
        assert strangers(connection, ("overcentric", "elsewhere")) == ["crm"]


@mariadb_only
@pytest.mark.parametrize("lives", [True, False])
def test_doctor_tells_a_slow_worker_from_none(full: Database, lives: bool) -> None:  # noqa: FBT001 - a parameter
    """Where it is not counted who is claimed: with a worker it may be busy, without one something is wrong."""
    if lives:
        with closing(Store(full.engine)) as store:
            store.heartbeat(uuid7(), "shop-1", 4711, "0", None)
    with full.engine.connect() as connection:
        first = next(iter(messages(connection, Settings())))
    assert first.level is (Level.WARNING if lives else Level.PROBLEM)
    assert first.text.startswith("34 due, the oldest for 3 min")


@mariadb_only
def test_a_gauge_that_was_not_counted_is_not_there(full: Database) -> None:
    """Rather than 0: who is claimed. The others are told."""
    with full.engine.connect() as connection:
        figures = Figures({}, status_module.counted(connection))
    told = {each.labels["state"]: each.value for family in _backlog(figures) for each in family.samples}
    assert told.keys() == {"due", "scheduled", "delivered", "failed", "discarded"}
    assert (told["due"], told["scheduled"], told["failed"]) == (34, 6, 1)
