"""The pulse: it beats while every part of a worker comes round, and for no less."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any, NoReturn

import pytest

from outbox.delivery import Delivery
from outbox.errors import OutboxError
from outbox.policy import Policy
from outbox.settings import Settings
from outbox.store import Store
from outbox.store.look import living
from outbox.testing import ThreadedFakeServer
from outbox.worker import Worker, thread
from outbox.worker import pulse as module
from outbox.worker import worker as worker_module
from outbox.worker.pulse import Pulse
from outbox.worker.report import Doing, Report
from support.databases import Database
from support.pauses import operate
from support.rows import put
from support.trouble import BODY
from support.waiting import eventually


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the list that `_pulse` fills; no time must pass between two beats."""
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.0)
    return []


def _pulse(beats: list[float], *parts: str) -> Pulse:
    pulse = Pulse()
    pulse.expect(parts)
    pulse.subscribe(lambda: beats.append(pulse.beaten_at))
    return pulse


def test_all_parts_make_a_beat(beats: list[float]) -> None:
    """One that comes round again and again does not stand for another."""
    pulse = _pulse(beats, "crm", "overcentric")
    for _ in range(3):
        pulse.turn("crm")
    assert beats == []
    pulse.turn("overcentric")
    assert len(beats) == 1
    pulse.turn("overcentric")
    assert len(beats) == 1, "crm has not come round since"


def test_a_part_that_has_ended_is_not_waited_for(beats: list[float]) -> None:
    """A draining worker's first destination may be done long before the second."""
    pulse = _pulse(beats, "crm", "overcentric")
    pulse.leave("crm")
    pulse.turn("overcentric")
    assert len(beats) == 1


def test_it_beats_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy worker goes round a hundred times a second; whoever listens is told once."""
    monkeypatch.setattr(module, "BEAT_SECONDS", 3600.0)
    beats: list[float] = []
    pulse = _pulse(beats, "overcentric")
    for _ in range(1000):
        pulse.turn("overcentric")
    assert len(beats) == 1


class _HangingStore(Store):
    """A store one of whose calls never ends, however often it is cut."""

    def __init__(self, database: Database, hangs: str) -> None:
        super().__init__(database.engine)
        self.entered = threading.Event()
        self.go_on = threading.Event()
        setattr(self, hangs, self._hang)

    def _hang(self, *_: object, **__: object) -> NoReturn:
        self.entered.set()
        self.go_on.wait(60)
        msg = "the test is over"
        raise RuntimeError(msg)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("hangs", ["claim", "settle", "find_work", "heartbeat"])
def test_a_call_that_never_ends_stops_the_pulse(
    database: Database, destination: ThreadedFakeServer, hangs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever hangs, and though a claimer that waits for a pause's end asks the database for nothing: it is not well."""
    monkeypatch.setattr(worker_module, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(thread, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.0)
    put(database, 50 if hangs == "settle" else 0, body=BODY)
    if hangs == "heartbeat":
        operate(database)
    settings = Settings(endpoint=destination.url, concurrency=2)

    async def story() -> None:
        store = _HangingStore(database, hangs)
        worker = Worker(store, Delivery(settings, Policy.of(settings)), settings)
        assert not worker.is_ready, "nothing has been looked at yet"
        running = asyncio.create_task(worker.run())
        await asyncio.to_thread(store.entered.wait, 10)
        await asyncio.sleep(1.0)  # for what is left to come round once more
        last = worker.pulse.beaten_at
        await asyncio.sleep(2.5)
        assert worker.pulse.beaten_at == last
        assert not worker.is_ready
        worker.stop()
        store.go_on.set()
        with contextlib.suppress(RuntimeError):
            await running

    asyncio.run(story())


@pytest.mark.parametrize("doing", Doing)
def test_trouble_with_a_purge_does_not_count(doing: Doing) -> None:
    """A worker that cannot remove what is old is ready to deliver."""
    report = Report()
    report.trouble(doing, OutboxError("it took too long"))
    assert report.database_works == (doing is Doing.PURGE)


class _RefusingStore(Store):
    """A store whose first heartbeat fails, as one does while somebody else holds SQLite's lock for long."""

    refused = False

    def heartbeat(self, *arguments: Any, **more: Any) -> None:
        """Refuse once."""
        if not self.refused:
            self.refused = True
            msg = "database is locked"
            raise RuntimeError(msg)
        super().heartbeat(*arguments, **more)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_heartbeat_that_failed_is_soon_made_up_for(database: Database, destination: ThreadedFakeServer) -> None:
    """Not ten seconds later, when people have read that no worker is running."""
    settings = Settings(endpoint=destination.url)

    def is_seen() -> bool:
        with database.engine.connect() as connection:
            return bool(living(connection))

    async def story() -> None:
        worker = Worker(_RefusingStore(database.engine), Delivery(settings, Policy.of(settings)), settings)
        running = asyncio.create_task(worker.run())
        await asyncio.to_thread(eventually, is_seen, timeout=8.0)
        worker.stop()
        await running

    asyncio.run(story())
