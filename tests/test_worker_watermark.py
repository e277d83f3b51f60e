"""Where the next claim begins: onward from the last one, and far enough back that nothing stays behind."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select

from outbox.delivery import Delivery
from outbox.message import State
from outbox.policy import Policy
from outbox.producer.ids import uuid7
from outbox.schema import message, utc_after
from outbox.settings import Settings
from outbox.store import Claimed, Position, Store
from outbox.testing import ThreadedFakeServer
from outbox.worker import Mode, Worker, watermark
from outbox.worker.watermark import LOOK_BACK_SECONDS, Ring, Turn, Watermark
from support.databases import Database
from support.events import body
from support.rows import look, put
from support.waiting import eventually
from support.workers import worker

BODY = json.dumps(body("minimal"))
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Clock:
    """A clock that the test turns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(watermark, "lease_clock", lambda: self.now)

    def spend(self, turn: Turn, seconds: float) -> None:
        """Take a turn that lasts so long."""
        with turn.taken():
            self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def place(seconds: float) -> Position:
    return Position(NOON + timedelta(seconds=seconds), UUID(int=7))


def reaching(seconds: float | None, *, more: bool = False, left: bool = False) -> Claimed:
    return Claimed((), more=more, left=left, reached=None if seconds is None else place(seconds))


def test_a_claim_goes_on_behind_the_last_one(clock: Clock) -> None:
    """After a first scan from the start the next one begins where the last ended; an empty one moves nothing."""
    mark = Watermark()
    start, turn = mark.start()
    assert start is None
    clock.spend(turn, 0.001)
    mark.advance(start, reaching(10))
    clock.spend(mark.start()[1], 0.001)
    assert mark.start()[0] == place(10)
    mark.advance(place(10), reaching(None))
    assert mark.start()[0] == place(10)
    mark.advance(place(10), reaching(20))
    assert mark.start()[0] == place(20)


def test_a_turn_takes_a_twentieth_of_the_time(clock: Clock) -> None:
    """The first comes at once; after one that took a second the next comes nineteen seconds later."""
    clock.now = 0.0
    turn = Turn(0.25)
    assert turn.has_come()
    clock.spend(turn, 1.0)
    clock.now = 19.9
    assert not turn.has_come()
    clock.now = 20.0
    assert turn.has_come()


def test_quick_looks_behind_come_often_and_not_always(clock: Clock) -> None:
    """However quick they are, there are four sweeps a second and twenty looks a little back."""
    mark = Watermark()
    starts: list[Position | None] = []
    while clock.now < 1010:
        start, turn = mark.start()
        starts.append(start)
        clock.spend(turn, 0.001)
        mark.advance(start, reaching(0))
    assert 36 <= starts.count(None) <= 40
    assert 180 <= starts.count(place(0).earlier(LOOK_BACK_SECONDS)) <= 200
    assert LOOK_BACK_SECONDS == 2.0


def test_what_lies_behind_is_looked_for_within_its_share_of_the_time(clock: Clock) -> None:
    """Sweeps from the start, and looks a little back, take at most a twentieth of the time each."""
    mark = Watermark()
    spent = {"sweep": 0.0, "back": 0.0, "onward": 0.0}
    cost = {"sweep": 0.1, "back": 0.02, "onward": 0.005}
    began = clock.now
    while clock.now < began + 60:
        start, turn = mark.start()
        back = place(0).earlier(LOOK_BACK_SECONDS)
        kind = "sweep" if start is None else "back" if start == back else "onward"
        clock.spend(turn, cost[kind])
        spent[kind] += cost[kind]
        mark.advance(start, reaching(0))
    assert 0.04 < spent["sweep"] / 60 <= 0.055
    assert 0.03 < spent["back"] / 60 <= 0.055


def test_a_sweep_that_finds_little_does_not_turn_back(clock: Clock) -> None:
    """What a sweep found behind does not move the mark; where it may have left more behind, the next goes on there."""
    mark = Watermark()
    mark.advance(None, reaching(100))
    mark.advance(None, reaching(3))
    clock.spend(mark.start()[1], 0.001)
    clock.spend(mark.start()[1], 0.001)
    assert mark.start()[0] == place(100)
    mark.advance(None, reaching(3, more=True))
    assert mark.start()[0] == place(3)


def test_what_was_left_for_a_free_sender_is_seen_again(clock: Clock) -> None:
    """The mark never passes a message that was left: it stays before it, at the scan's start if nothing came before."""
    mark = Watermark()
    mark.advance(None, reaching(100))
    clock.spend(mark.start()[1], 0.001)
    clock.spend(mark.start()[1], 0.001)
    mark.advance(place(100), reaching(50, left=True))
    assert mark.start()[0] == place(50)
    mark.advance(None, reaching(None, left=True))
    assert mark.start()[0] is None


def test_looks_go_round_the_keys(clock: Clock) -> None:
    """A look that found something is followed by the next at once; one that did not waits for its turn."""
    ring = Ring()
    assert (ring.has_come(), ring.after) == (True, "")
    clock.spend(ring.turn, 0.0)
    clock.now += 0.04
    assert not ring.has_come()
    clock.now += 0.02
    assert ring.has_come()
    clock.spend(ring.turn, 0.1)
    assert not ring.has_come()
    ring.advance(Claimed(("found",)), "m")  # type: ignore[arg-type]
    assert (ring.has_come(), ring.after) == (True, "m")
    ring.advance(Claimed(()), "")
    assert (ring.has_come(), ring.after) == (False, "")
    clock.now += 2
    assert ring.has_come()


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_transaction_that_commits_late(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """A message that commits after younger ones were delivered is delivered, too: ids and times follow no commit order."""
    late = uuid7()
    with database.engine.connect() as connection:
        stalled = connection.begin()
        row = {"destination": "overcentric", "name": "late", "body": BODY, "due_at": utc_after(-3600)}
        connection.execute(insert(message).values(id=late, **row))
        put(database, 50, body=BODY)
        with worker(tmp_path, settings):
            destination.wait_for(50)
            assert str(late) not in destination.keys
            stalled.commit()
            destination.wait_for(51)
    assert destination.keys[str(late)] == 1


def test_messages_to_be_parked_do_not_wait_for_the_end_of_a_backlog(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """A `park` message among many others is sent about when it is due, not when nothing else is left to do."""
    put(database, 20, body=BODY, due_at=utc_after(-2000))
    parked = put(database, 3, body=BODY, on_unknown="park", due_at=utc_after(-1000))
    put(database, 600, body=BODY)
    destination.script = "delay=20ms"
    with worker(tmp_path, settings | {"OUTBOX_CONCURRENCY": "4"}):
        eventually(lambda: all(destination.keys[each] for each in parked), timeout=30)
        assert destination.count < 400


def test_keys_are_worked_off_in_order(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """Each key's messages arrive one after another, among others without a key, though the destination fails at times."""
    keys = {key: put(database, 12, body=BODY, ordering_key=key) for key in ("a", "b", "c")}
    put(database, 100, body=BODY)
    destination.script = "cycle: ok, ok, 500, ok, reset, ok, ok"
    with worker(tmp_path, settings), worker(tmp_path, settings):
        eventually(lambda: _delivered(database) == 136, timeout=60)
    first = list(dict.fromkeys(each.key for each in destination.received))
    for ids in keys.values():
        assert [each for each in first if each in ids] == ids


@pytest.mark.parametrize(
    ("behind_failed", "states"), [("pass", ["failed", "delivered"]), ("block", ["failed", "pending"])]
)
def test_behind_a_failed_message(
    database: Database, destination: ThreadedFakeServer, behind_failed: str, states: list[str]
) -> None:
    """`pass` sends what stands behind a failed message of its key, `block` keeps it; neither holds a drain."""
    ids = [*put(database, body='{"event": {}}', ordering_key="a"), *put(database, body=BODY, ordering_key="a")]
    settings = Settings(endpoint=destination.url, behind_failed=behind_failed)

    async def drain() -> None:
        store = Store(database.engine, blocks=behind_failed == "block")
        await Worker(store, Delivery(settings, Policy.of(settings)), settings, Mode.DRAIN).run()

    asyncio.run(asyncio.wait_for(drain(), 30))
    assert [look(database, each).state for each in ids] == states


def test_a_stopping_worker_gives_back_the_successors_that_it_claimed(
    database: Database, destination: ThreadedFakeServer
) -> None:
    """Stopped with a key's message in flight, a worker holds nothing of the key when it has ended."""
    put(database, 5, body=BODY, ordering_key="a")
    destination.script = "delay=200ms"
    settings = Settings(endpoint=destination.url)

    async def story() -> None:
        ended = Worker(Store(database.engine), Delivery(settings, Policy.of(settings)), settings)
        running = asyncio.create_task(ended.run())
        await asyncio.to_thread(destination.wait_for, 2)
        ended.stop()
        await asyncio.wait_for(running, 30)

    asyncio.run(story())
    with database.engine.connect() as connection:
        held = select(func.count()).where(message.c.claimed_until.is_not(None))
        assert connection.execute(held).scalar() == 0
        lost = select(func.max(message.c.lost))
        assert connection.execute(lost).scalar() == 0
    assert _delivered(database) == destination.count


def _delivered(database: Database) -> int:
    with database.engine.connect() as connection:
        query = select(func.count()).where(message.c.state == State.DELIVERED)
        return connection.execute(query).scalar_one()
