"""The settler: what gathers is written, whatever happens while it is written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from sqlalchemy import select

from outbox.delivery import Delivery
from outbox.message import Delivered, Message
from outbox.policy import Policy
from outbox.schema import message
from outbox.settings import Settings
from outbox.store import Settled, Settlement, Store, Succession
from outbox.testing import ThreadedFakeServer
from outbox.worker import Mode, Worker, settling
from outbox.worker.report import Report
from outbox.worker.settling import Settler
from outbox.worker.thread import StoreThread
from support.databases import Database
from support.rows import LEASE, claim, look, put


class SlowStore(Store):
    """A store whose first settle takes as long as the test wants."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.engine)
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def settle(
        self, outcomes: Sequence[Settlement], unsent: Sequence[Message], succession: Succession | None = None
    ) -> Settled:
        """Wait, then settle."""
        self.entered.set()
        self.go_on.wait(30)
        return super().settle(outcomes, unsent, succession)


def test_outcomes_that_gathered_behind_a_slow_settle_are_written(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopping worker writes what gathered behind a settle that took longer than it would wait for a failing one."""
    monkeypatch.setattr(settling, "LAST_SETTLE_SECONDS", 0.0)
    ids = put(database, 3)
    first, *others = claim(database)

    async def story() -> None:
        store = SlowStore(database)
        thread = StoreThread(store.cut, 20)
        settler = Settler(store, thread, Report(), most=10, lease=LEASE)
        running = asyncio.create_task(settler.run())
        settler.settle(first, Delivered(200))
        await asyncio.to_thread(store.entered.wait)
        for each in others:
            settler.settle(each, Delivered(200))
        settler.finish()
        store.go_on.set()
        await running
        await thread.call(store.close)
        thread.close()

    asyncio.run(story())
    assert {look(database, each).state for each in ids} == {"delivered"}


def test_nothing_more_is_sent_while_too_much_is_unsettled(database: Database) -> None:
    """What waits and what is being written count together: a crash would send both again."""
    put(database, 4)
    first, second, third, fourth = claim(database)
    opened: list[bool] = []

    async def story() -> None:
        store = SlowStore(database)
        thread = StoreThread(store.cut, 20)
        settler = Settler(store, thread, Report(), most=3, lease=LEASE)
        settler.on_opening = lambda: opened.append(True)
        running = asyncio.create_task(settler.run())
        for each in (first, second):
            settler.settle(each, Delivered(200))
        await asyncio.to_thread(store.entered.wait)
        assert settler.accepts.is_set()
        settler.settle(third, Delivered(200))
        assert not settler.accepts.is_set()
        store.go_on.set()
        await settler.accepts.wait()
        settler.settle(fourth, Delivered(200))
        settler.finish()
        await running
        await thread.call(store.close)
        thread.close()

    asyncio.run(story())
    assert opened == [True]


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_row_that_stays_locked_ends_the_wait(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A stopping worker does not wait for ever for a row that somebody else has locked, and says that it gave up."""
    monkeypatch.setattr(settling, "LAST_SETTLE_SECONDS", 0.2)
    put(database)
    (stuck,) = claim(database)

    async def story() -> None:
        store = Store(database.engine)
        thread = StoreThread(store.cut, 20)
        settler = Settler(store, thread, Report(), most=10, lease=LEASE)
        settler.settle(stuck, Delivered(200))
        settler.finish()
        await settler.run()
        await thread.call(store.close)
        thread.close()

    with database.engine.connect() as connection, connection.begin():
        connection.execute(select(message.c.id).with_for_update())
        asyncio.run(story())
    assert "1 outcomes not recorded: their rows stayed locked by others" in caplog.text


class BrokenStore(Store):
    """A store with a fault that nobody foresaw."""

    def settle(
        self, outcomes: Sequence[Settlement], unsent: Sequence[Message], succession: Succession | None = None
    ) -> Settled:
        """Fail in a way that is no database's."""
        msg = "nobody foresaw this"
        raise ValueError(msg)


@pytest.mark.parametrize("mode", [Mode.FOREVER, Mode.DRAIN])
def test_a_fault_of_ours_in_a_settle_ends_the_worker(
    database: Database, destination: ThreadedFakeServer, mode: Mode
) -> None:
    """A worker that cannot record outcomes for a reason of its own ends with the error, for its supervisor to see."""
    (identity,) = put(database, body='{"event": {}}')
    settings = Settings(endpoint=destination.url, lease=LEASE, drain_timeout=1.0)

    async def story() -> None:
        worker = Worker(BrokenStore(database.engine), Delivery(settings, Policy.of(settings)), settings, mode)
        await asyncio.wait_for(worker.run(), 20)

    with pytest.raises(ValueError, match="nobody foresaw this"):
        asyncio.run(story())
    assert look(database, identity).claimed_until is not None, "the claim is left to expire"
