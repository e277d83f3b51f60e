"""What becomes of events: from the command line, through a real worker, at a real destination."""

from __future__ import annotations

import json
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from outbox import __version__
from outbox.schema import destination as destination_table
from outbox.testing import ThreadedFakeServer
from support.databases import Database
from support.events import BODIES, BODY_NAMES, body
from support.rows import attempts, look, put
from support.waiting import eventually
from support.workers import drain, run, worker

BODY = json.dumps(body("minimal"))
REFUSED = "http://127.0.0.1:9/api/v1/event"


def drain_until_settled(database: Database, settings: dict[str, str], identity: str) -> None:
    """Drain again as the schedule's later attempts become due."""

    def settled() -> bool:
        drain(settings)
        return bool(look(database, identity).state != "pending")

    eventually(settled, timeout=20)


def test_the_documented_bodies_arrive_as_they_are(settings: dict[str, str], destination: ThreadedFakeServer) -> None:
    """Each documented body, enqueued from a file, arrives equal as JSON, with the documented headers and its id as key."""
    files = [str(BODIES / f"{name}.json") for name in BODY_NAMES]
    enqueued = run(settings, "enqueue", *files)
    assert enqueued.returncode == 0, enqueued.stderr
    drain(settings)
    arrived = {one.key: one for one in destination.received}
    assert list(arrived) == enqueued.stdout.split()
    for name, one in zip(BODY_NAMES, arrived.values(), strict=True):
        assert one.json == body(name)
        assert one.headers["content-type"] == "application/json"
        assert one.headers["user-agent"] == f"overcentric-outbox/{__version__}"
        assert one.path == "/api/v1/event"


def test_a_flaky_destination(database: Database, settings: dict[str, str], destination: ThreadedFakeServer) -> None:
    """A message that meets 500s is tried again on its schedule, with the same key and bytes, until it is accepted."""
    (identity,) = put(database, body=BODY)
    destination.script = "500 x2, ok"
    drain_until_settled(database, settings, identity)
    row = look(database, identity)
    assert (row.state, row.attempts, row.last_status, row.last_error) == ("delivered", 2, 200, None)
    assert [(one.key, one.body) for one in destination.received] == [(str(identity), BODY.encode())] * 3
    assert [(each.attempt, each.status, each.certainty) for each in attempts(database, identity)] == [
        (1, 500, "unknown"),
        (2, 500, "unknown"),
    ]


def test_a_refused_body(database: Database, settings: dict[str, str], destination: ThreadedFakeServer) -> None:
    """A body that the destination refuses is failed at once, with what it answered."""
    (identity,) = put(database, body='{"event": {"name": "half"}}')
    drain(settings)
    row = look(database, identity)
    assert (row.state, row.failure_reason, row.last_status) == ("failed", "rejected", 400)
    (logged,) = attempts(database, identity)
    assert "project_id" in logged.response
    assert destination.count == 1


def test_the_schedule_ends(database: Database, settings: dict[str, str], destination: ThreadedFakeServer) -> None:
    """A message is failed as exhausted when its attempts are used up."""
    (identity,) = put(database, body=BODY)
    destination.script = "500"
    drain_until_settled(database, settings | {"OUTBOX_MAX_ATTEMPTS": "3"}, identity)
    row = look(database, identity)
    assert (row.state, row.failure_reason, row.attempts) == ("failed", "exhausted", 3)
    assert destination.count == 3


def test_retry_after(database: Database, settings: dict[str, str], destination: ThreadedFakeServer) -> None:
    """A wish of the destination pauses it for so long, and charges the message nothing."""
    (identity,) = put(database, body=BODY)
    destination.script = "429 retry-after=100"
    done = run(settings, "worker", "--drain")
    assert done.returncode == 75
    assert "1 due, but delivery to overcentric is paused" in done.stderr
    with database.engine.connect() as connection:
        paused = connection.execute(select(destination_table)).one()
    assert timedelta(seconds=99) < paused.paused_until - paused.paused_at < timedelta(seconds=111)
    row = look(database, identity)
    assert (row.state, row.attempts, row.last_status) == ("pending", 0, 429)
    assert [each.status for each in attempts(database, identity)] == [429]


def test_retry_after_for_one_message(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer
) -> None:
    """A wish for this message that is longer than the schedule's wait is honoured."""
    (identity,) = put(database, body=BODY)
    destination.script = "408 retry-after=100"
    drain(settings)
    (logged,) = attempts(database, identity)
    wait = look(database, identity).due_at - logged.started_at
    assert timedelta(seconds=99) < wait < timedelta(seconds=110)


def test_parked_in_doubt(database: Database, settings: dict[str, str], destination: ThreadedFakeServer) -> None:
    """With `on_unknown="park"` a connection reset after the request leaves one POST and a failed message."""
    (identity,) = put(database, body=BODY, on_unknown="park")
    destination.script = "reset, ok"
    drain(settings)
    row = look(database, identity)
    assert (row.state, row.failure_reason) == ("failed", "unknown")
    assert destination.count == 1


def test_a_destination_that_is_down(database: Database, settings: dict[str, str]) -> None:
    """A refused connection is certain not to have delivered: on record, uncharged, and a drain says that it waits."""
    (identity,) = put(database, body=BODY)
    done = run(settings | {"OUTBOX_ENDPOINT": REFUSED, "OUTBOX_LEASE": "60s"}, "worker", "--drain")
    assert done.returncode == 75
    assert "overcentric cannot be reached: connection refused by 127.0.0.1:9" in done.stderr
    row = look(database, identity)
    (logged,) = attempts(database, identity)
    assert (row.state, row.attempts, logged.certainty, logged.tries) == ("pending", 0, "not_sent", 3)
    assert "refused" in row.last_error


def test_an_outage_with_a_backlog(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """After refused connections, with more messages due than there are senders, the same worker delivers them all."""
    ids = put(database, 150, body=BODY)
    settings |= {"OUTBOX_CONCURRENCY": "8", "OUTBOX_LEASE": "30s", "OUTBOX_RETRY_SCHEDULE": "500ms"}
    destination.pause()
    with worker(tmp_path, settings) as steady:
        steady.until("cannot reach overcentric")
        destination.resume()
        eventually(lambda: len(destination.accepted) == 150, timeout=30)
        steady.signal(signal.SIGTERM)
        assert steady.wait() == 0
    assert {look(database, each).state for each in ids} == {"delivered"}
    assert {each.certainty for each in attempts(database, ids[0])} == {"not_sent"}


def test_staging_only_logs(database: Database, settings: dict[str, str], destination: ThreadedFakeServer) -> None:
    """With OUTBOX_DELIVERY=log events are logged by id and name, marked delivered, and sent nowhere."""
    (identity,) = put(database, name="plan_changed", body=BODY)
    done = drain(settings | {"OUTBOX_DELIVERY": "log"})
    assert f"{identity} plan_changed" in done.stderr
    assert look(database, identity).state == "delivered"
    assert destination.count == 0


def test_switched_off(database: Database, settings: dict[str, str], destination: ThreadedFakeServer) -> None:
    """With OUTBOX_DELIVERY=off nothing is claimed, and a drain says that what is due cannot be sent now."""
    (identity,) = put(database, body=BODY)
    done = run(settings | {"OUTBOX_DELIVERY": "off"}, "worker", "--drain")
    assert done.returncode == 75
    assert "OUTBOX_DELIVERY=off" in done.stderr.splitlines()[-1]
    assert look(database, identity).claim_token is None
    assert destination.count == 0


def test_one_round(database: Database, settings: dict[str, str], destination: ThreadedFakeServer) -> None:
    """`--once` claims one batch, sends it, settles it and ends."""
    put(database, 5, body=BODY)
    done = run(settings | {"OUTBOX_CONCURRENCY": "3"}, "worker", "--once")
    assert done.returncode == 0, done.stderr
    assert destination.count == 3
    assert "3 delivered" in done.stderr


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_body_never_shows_in_the_log(database: Database, settings: dict[str, str], tmp_path: Path) -> None:
    """Not even at debug level does the worker's log show a body, an answer or a password."""
    put(database, body='{"event": {"name": "half", "properties": {"secret": "canary"}}}')
    done = drain(settings | {"OUTBOX_LOG_LEVEL": "debug"})
    assert "canary" not in done.stderr
