"""What an outage of the destination costs: real workers, a destination that goes and comes back, each database."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from outbox.schema import message
from outbox.testing import ThreadedFakeServer
from support.databases import Database
from support.events import body
from support.rows import attempts, look, put
from support.waiting import eventually
from support.workers import WorkerProcess, run, worker

BODY = json.dumps(body("minimal"))
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

Fleet = Callable[..., WorkerProcess]


@pytest.fixture
def settings(settings: dict[str, str]) -> dict[str, str]:
    """Short pauses, few senders, and a schedule that an outage would use up in no time."""
    return settings | {
        "OUTBOX_CONCURRENCY": "8",
        "OUTBOX_PAUSE_FIRST": "1s",
        "OUTBOX_PAUSE_LONGEST": "2s",
        "OUTBOX_RETRY_SCHEDULE": "100ms",
        "OUTBOX_MAX_ATTEMPTS": "3",
        "OUTBOX_LEASE": "10s",
    }


@pytest.fixture
def start(settings: dict[str, str], tmp_path: Path) -> Iterator[Fleet]:
    """Start workers; they end with the test."""
    with ExitStack() as stack:

        def begin(**changes: Any) -> WorkerProcess:
            given = {f"OUTBOX_{name.upper()}": str(value) for name, value in changes.items()}
            return stack.enter_context(worker(tmp_path, settings | given))

        yield begin


def states(database: Database) -> dict[str, int]:
    """How many messages there are of each state."""
    with database.engine.connect() as connection:
        query = select(message.c.state, func.count()).group_by(message.c.state)
        return {row[0]: row[1] for row in connection.execute(query)}


def most_attempts(database: Database) -> int:
    """The most attempts that any message was charged."""
    with database.engine.connect() as connection:
        return int(connection.execute(select(func.max(message.c.attempts))).scalar_one())


def until_probed(destination: ThreadedFakeServer, workers: Sequence[WorkerProcess], probes: int) -> None:
    """Wait until all workers know of the pause, and then until so many probes have failed."""
    for each in workers:
        each.until("is paused", timeout=20)
    paused = time.monotonic() + 0.6  # what was in flight has ended by then
    eventually(lambda: sum(one.monotonic > paused for one in destination.received) >= probes, timeout=40)


def until_delivered(database: Database, count: int) -> None:
    """Wait until so many are delivered and nothing else is there."""
    eventually(lambda: states(database) == {"delivered": count}, timeout=40)


@pytest.mark.parametrize(
    ("database", "script"),
    [
        ("sqlite", "500"),
        ("postgresql", "reset"),
        ("postgresql", "404"),
        ("postgresql", "hang"),
        ("mariadb", "500"),
        ("mariadb", "429"),
    ],
    indirect=["database"],
)
def test_an_outage_charges_one_attempt_at_most(
    database: Database, destination: ThreadedFakeServer, start: Fleet, script: str
) -> None:
    """However long everything fails, no message is charged more than once, none fails, and all arrive afterwards."""
    put(database, 60, body=BODY)
    destination.script = script
    both = [start(try_timeout="500ms"), start(try_timeout="500ms")]
    until_probed(destination, both, 2)
    destination.script = "ok"
    until_delivered(database, 60)
    assert most_attempts(database) <= 1
    for each in both:
        each.until("is being sent to again")
        assert each.text.count("overcentric is paused") == 1


@pytest.mark.parametrize(("fails", "works"), [("reset", "ok delay=100ms"), ("500 delay=100ms", "ok")])
def test_one_place_of_seven_that_fails_is_no_outage(
    database: Database, destination: ThreadedFakeServer, start: Fleet, fails: str, works: str
) -> None:
    """Nothing is paused where failures overtake the successes that they were sent with, or all come after them."""
    put(database, 64, body=BODY)  # all in flight at once
    destination.script = "cycle: " + ", ".join([fails, *[works] * 6])
    alone = start(concurrency=64, max_attempts=18)
    until_delivered(database, 64)
    assert "will try again" in alone.text
    assert "is paused" not in alone.text


def test_refused_connections_are_one_processs_matter(
    database: Database, destination: ThreadedFakeServer, start: Fleet
) -> None:
    """A worker that cannot connect charges nothing and pauses nobody else; it comes back by itself."""
    ids = put(database, 40, body=BODY)
    destination.pause()
    lonely = start()
    lonely.until("cannot reach overcentric: connection refused")
    with database.engine.connect() as connection:
        assert connection.execute(select(func.count()).where(message.c.attempts > 0)).scalar_one() == 0
    destination.resume()
    until_delivered(database, 40)
    lonely.until("reaching overcentric again")
    assert lonely.text.count("cannot reach overcentric") == 1
    assert most_attempts(database) == 0
    logged = [each for identity in ids for each in attempts(database, identity)]
    assert {each.certainty for each in logged} == {"not_sent"}


def test_a_worker_without_network_leaves_the_others_alone(
    database: Database, destination: ThreadedFakeServer, start: Fleet
) -> None:
    """Beside one whose connections are refused the other goes on, and takes over what that one could not send."""
    lost = start(endpoint="http://127.0.0.1:9/api/v1/event")
    put(database, 20, body=BODY)
    lost.until("cannot reach overcentric")
    start()
    until_delivered(database, 20)
    put(database, 200, body=BODY)
    until_delivered(database, 220)
    assert most_attempts(database) == 0


def test_one_message_that_always_fails_holds_up_nobody(
    database: Database, destination: ThreadedFakeServer, start: Fleet
) -> None:
    """After an outage the destination opens within one pause, though the oldest message always draws 500."""
    (bad,) = put(database, name="bad", body=json.dumps({"event": {"name": "bad"}}))
    put(database, 40, body=BODY)
    destination.script = "500"
    first = start()
    until_probed(destination, [first], 2)
    destination.script = "name=bad: 500; ok"
    eventually(lambda: states(database).get("delivered") == 40, timeout=20)
    eventually(lambda: look(database, bad).failure_reason == "exhausted", timeout=30)
    assert first.text.count("overcentric is paused") == 1
    put(database, 5, body=BODY)
    eventually(lambda: states(database) == {"delivered": 45, "failed": 1}, timeout=20)


def test_a_prober_killed_in_its_turn(database: Database, destination: ThreadedFakeServer, start: Fleet) -> None:
    """A probe's turn ends by time: another worker probes, and all is delivered."""
    put(database, 30, body=BODY)
    destination.script = "500"
    first = start(try_timeout="2s")
    first.until("is paused")
    before = destination.count
    destination.script = "hang"
    eventually(lambda: destination.count > before, timeout=20)
    first.signal(signal.SIGKILL)
    first.wait()
    start(try_timeout="2s")
    destination.script = "ok"
    until_delivered(database, 30)


def test_retry_after_pauses_all(database: Database, destination: ThreadedFakeServer, start: Fleet) -> None:
    """After a 429 that asks for 2 s nobody sends for so long; nothing is charged."""
    put(database, 150, body=BODY)
    # Slow enough that what the other worker holds when the pause begins is not all that is left.
    destination.script = "ok delay=50ms x60, 429 retry-after=2 x1, ok delay=50ms"
    both = [start(), start()]
    until_delivered(database, 150)
    arrived = destination.received
    asked = next(each.monotonic for each in arrived if each.answer == "429")
    # What another worker began before it heard of the pause may arrive within a second.
    assert not [each for each in arrived if asked + 1.0 < each.monotonic < asked + 2.0]
    assert [each for each in arrived if each.monotonic >= asked + 2.0]
    assert most_attempts(database) == 0
    assert all("429" in each.text for each in both)


def test_a_wrong_endpoint(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, start: Fleet
) -> None:
    """Paused after a few, none failed, clear words in `status`; with the right one and `resume`, all are delivered."""
    put(database, 200, body=BODY)
    destination.script = "404"
    wrong = start(pause_longest="1h", pause_first="1h")
    wrong.until("is paused")
    eventually(lambda: not _held(database), timeout=10)
    assert destination.count <= 30
    assert states(database) == {"pending": 200}
    told = run(settings, "status").stdout
    assert "overcentric is paused" in told
    assert "HTTP 404" in told
    wrong.signal(signal.SIGTERM)
    assert wrong.wait() == 0
    destination.script = "ok"
    start()
    assert run(settings, "resume").returncode == 0
    until_delivered(database, 200)
    assert most_attempts(database) <= 1


def _held(database: Database) -> int:
    with database.engine.connect() as connection:
        return connection.execute(select(func.count()).where(message.c.claimed_until.is_not(None))).scalar_one()


def test_an_operators_pause(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, start: Fleet
) -> None:
    """After `outbox pause` what has not begun is given back, and nothing leaves until `outbox resume`."""
    put(database, 300, body=BODY)
    destination.script = "delay=50ms"
    busy = start()
    destination.wait_for(20)
    assert run(settings, "pause", "--reason", "moving house").returncode == 0
    busy.until("moving house")
    eventually(lambda: not _held(database), timeout=10)
    before = destination.count
    put(database, 1, body=BODY)
    assert run(settings, "worker", "--once").returncode == 0
    assert destination.count == before
    assert run(settings, "resume").returncode == 0
    until_delivered(database, 301)
    assert most_attempts(database) == 0
    assert max(destination.keys.values()) == 1


def test_a_rate_holds_for_all_workers(database: Database, destination: ThreadedFakeServer, start: Fleet) -> None:
    """Three workers together send no more than the rate allows in any second."""
    put(database, 90, body=BODY)
    for _ in range(3):
        start(rate="30/s")
    until_delivered(database, 90)
    moments = [each.monotonic for each in destination.received]
    assert max(sum(at <= other < at + 1 for other in moments) for at in moments) <= 33


def test_a_low_rate_starves_no_worker(database: Database, destination: ThreadedFakeServer, start: Fleet) -> None:
    """Where several workers wait for one rate, nobody's message waits for a time that its lease does not reach."""
    put(database, 4, body=BODY)
    for _ in range(3):
        start(rate="30/m", lease="5s")
    until_delivered(database, 4)
    assert max(destination.keys.values()) == 1


def test_a_hanging_destination_leaves_the_other_alone(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, start: Fleet
) -> None:
    """While one destination answers nothing the other's messages are delivered."""
    put(database, 30, body="{}", destination="crm")
    put(database, 100, body=BODY)
    destination.script = f"name={body('minimal')['event']['name']}: ok; hang"
    start(destination_crm_url=destination.url, destination_crm_secret=SECRET, try_timeout="5s")
    eventually(lambda: states(database).get("delivered") == 100, timeout=4.5)


def test_a_drain_ends_where_the_destination_is_away(database: Database, settings: dict[str, str]) -> None:
    """A draining worker that cannot connect says so and exits with 75; the message waits, uncharged."""
    (identity,) = put(database, body=BODY)
    done = run(settings | {"OUTBOX_ENDPOINT": "http://127.0.0.1:9/api/v1/event"}, "worker", "--drain")
    assert done.returncode == 75
    assert "1 due, but overcentric cannot be reached: connection refused" in done.stderr
    assert (look(database, identity).state, look(database, identity).attempts) == ("pending", 0)


def test_a_drain_delivers_what_it_can(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer
) -> None:
    """One destination that is paused does not keep a draining worker from the others."""
    put(database, 3, body="{}", destination="crm")
    put(database, 50, body=BODY)
    settings |= {"OUTBOX_DESTINATION_CRM_URL": destination.url, "OUTBOX_DESTINATION_CRM_SECRET": SECRET}
    assert run(settings, "pause", "crm", "--reason", "later").returncode == 0
    done = run(settings, "worker", "--drain")
    assert done.returncode == 75
    assert "3 due, but delivery to crm is paused" in done.stderr
    assert states(database) == {"delivered": 50, "pending": 3}


def test_parked_messages_leave_once(
    database: Database, destination: ThreadedFakeServer, start: Fleet, tmp_path: Path
) -> None:
    """In an outage no message that asked to be parked leaves twice after a doubt, also where its worker is killed."""
    put(database, 40, body=BODY, on_unknown="park")
    destination.script = "cycle: 500, hang, reset, 429"
    first = start(lease="2s", try_timeout="1s")
    destination.wait_for(4, timeout=20)
    first.signal(signal.SIGKILL)
    first.wait()
    second = start(lease="2s", try_timeout="1s")
    destination.wait_for(destination.count + 4, timeout=30)
    second.signal(signal.SIGSTOP)
    time.sleep(2.5)  # beyond its lease
    third = start(lease="2s", try_timeout="1s")
    second.signal(signal.SIGCONT)
    destination.script = "ok"
    eventually(lambda: "pending" not in states(database), timeout=40)
    third.signal(signal.SIGTERM)
    third.wait()
    doubts: dict[str | None, int] = {}
    for each in destination.received:
        doubts.setdefault(each.key, 0)
        assert doubts[each.key] == 0, f"{each.key} left again after a doubt"
        doubts[each.key] += each.answer not in {"429", "200"}


def test_a_destination_that_nobody_configured(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, start: Fleet
) -> None:
    """Its messages wait; a worker says so once, and a drain, which delivers the others, does not claim to be done."""
    put(database, 2, body="{}", destination="crm")
    put(database, 10, body=BODY)
    done = run(settings, "worker", "--drain")
    assert done.returncode == 75
    assert "2 due for crm, which is not configured here. Set OUTBOX_DESTINATION_CRM_URL" in done.stderr
    assert states(database) == {"delivered": 10, "pending": 2}
    start().until("messages wait for crm, which is not configured here: set OUTBOX_DESTINATION_CRM_URL")


def test_a_message_without_a_key_that_always_fails_holds_up_no_key(
    database: Database, destination: ThreadedFakeServer, start: Fleet
) -> None:
    """A probe looks among messages with a key, too, where the only one without fails for ever."""
    put(database, name="bad", body=json.dumps({"event": {"name": "bad"}}))
    destination.script = "500"
    for number in range(8):
        put(database, 2, body=BODY, ordering_key=f"key {number}")
    first = start(max_attempts=50, retry_schedule="1s")
    until_probed(destination, [first], 2)
    destination.script = "name=bad: 500; ok"
    eventually(lambda: states(database).get("delivered") == 16, timeout=30)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_status_tells_of_messages_that_are_tried_in_vain(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, start: Fleet
) -> None:
    """Too few failures for a pause are no reason to say that all is well."""
    put(database, 2, body=BODY)
    destination.script = "404"
    start(retry_schedule="1h")
    destination.wait_for(2)
    eventually(lambda: "2 tried in vain so far" in run(settings, "status").stdout)


def test_what_an_outage_keeps_waiting_keeps_its_age(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer
) -> None:
    """How long the oldest message has been due is what people watch: an attempt that is not charged does not reset it."""
    (identity,) = put(database, body=BODY)
    due = look(database, identity).due_at
    destination.script = "503 retry-after=100"
    assert run(settings, "worker", "--drain").returncode == 75
    assert look(database, identity).due_at == due


def test_suspects_of_two_destinations(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer
) -> None:
    """Messages that may kill their worker are sent while nothing else is in hand, at whatever destination, one by one."""
    put(database, 3, body=BODY, lost=2)
    put(database, 20, body=BODY)
    put(database, 3, body="{}", destination="crm", lost=2)
    put(database, 20, body="{}", destination="crm")
    destination.script = "200 delay=20ms"
    crm = {"OUTBOX_DESTINATION_CRM_URL": destination.url, "OUTBOX_DESTINATION_CRM_SECRET": SECRET}
    done = run(settings | crm, "worker", "--drain")
    assert done.returncode == 0, done.stderr
    assert states(database) == {"delivered": 46}
