"""What a worker tells of itself by HTTP: numbers for Prometheus, and whether it is alive and ready."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from outbox.message import Claim, Delivered, Message
from outbox.producer.ids import uuid7
from outbox.service.metrics import figures
from outbox.service.metrics.figures import Looks
from outbox.settings import Settings
from outbox.store.look import counted, oldest_due
from outbox.testing import ThreadedFakeServer
from outbox.worker.meter import Histogram, Meter, enqueued_at
from support.databases import Database, build_schema
from support.project import ROOT
from support.rows import put
from support.servers import PostgresServer
from support.trouble import BODY, stop
from support.waiting import eventually
from support.workers import WorkerProcess, environment, run, worker

sqlite_only = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

# A worker whose figures of the database are no older than a blink.
_SCRIPT = """
import outbox.cli, outbox.service.metrics.figures as figures
figures.LOOK_SECONDS = 0.1
outbox.cli.main()
"""
OFTEN = [sys.executable, "-c", _SCRIPT]

Labels = tuple[tuple[str, str], ...]


def base_url(process: WorkerProcess) -> str:
    """Give where it answers, which it has logged."""
    process.until("metrics at ")
    found = re.search(r"metrics at (http://\S+)/metrics", process.text)
    assert found is not None
    return found[1]


def ask(url: str, path: str, method: str = "GET") -> tuple[int, str]:
    """Give the status and the text."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def scrape(url: str) -> dict[tuple[str, Labels], float]:
    """Give every sample by its name and labels."""
    status, body = ask(url, "/metrics")
    assert status == 200
    families = text_string_to_metric_families(body)
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value for family in families for each in family.samples
    }


def value(found: Mapping[tuple[str, Labels], float], name: str, **labels: str) -> float:
    """Give one sample."""
    key = name, tuple(sorted(labels.items()))
    assert key in found, key
    return found[key]


@pytest.fixture
def metered(settings: dict[str, str]) -> dict[str, str]:
    """Give a worker's environment with metrics on any free port."""
    return settings | {"OUTBOX_METRICS_PORT": "0"}


def test_what_became_of_messages(
    database: Database, metered: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """Delivered, refused, tried again: counted by outcome and status; tries, deliveries and calls have their times."""
    put(database, 3, body=BODY)
    bad, flaky = put(database, 2, body=BODY)
    destination.script = f"key={bad}: 400; key={flaky}: 500, ok; delay=20ms"
    patient = metered | {"OUTBOX_TRY_TIMEOUT": "20s", "OUTBOX_LEASE": "60s"}  # no try must end by the clock
    with worker(tmp_path, patient, command=OFTEN) as counting:
        url = base_url(counting)
        destination.wait_for(6)

        def settled() -> bool:
            found = scrape(url)
            attempts = {
                (outcome, status): value(
                    found, "outbox_attempts_total", destination="overcentric", outcome=outcome, status=status
                )
                for outcome, status in (("delivered", "2xx"), ("failed", "4xx"), ("retry", "5xx"), ("retry", "none"))
            }
            assert attempts == {
                ("delivered", "2xx"): 4,
                ("failed", "4xx"): 1,
                ("retry", "5xx"): 1,
                ("retry", "none"): 0,
            }
            states = {
                state: value(found, "outbox_messages", state=state)
                for state in ("due", "claimed", "scheduled", "delivered", "failed")
            }
            assert states == {"due": 0, "claimed": 0, "scheduled": 0, "delivered": 4, "failed": 1}
            return True

        eventually(settled)
        found = scrape(url)
        stop(counting)
    overcentric = {"destination": "overcentric"}
    assert value(found, "outbox_try_seconds_count", **overcentric) == 6
    assert value(found, "outbox_try_seconds_bucket", le="10.0", **overcentric) == 6
    assert value(found, "outbox_try_seconds_bucket", le="0.01", **overcentric) <= 3
    assert 0.06 < value(found, "outbox_try_seconds_sum", **overcentric) < 6
    assert value(found, "outbox_delivery_seconds_count", **overcentric) == 4
    assert 0 < value(found, "outbox_delivery_seconds_sum", **overcentric) < 120
    assert all(value(found, "outbox_database_seconds_count", call=call) > 0 for call in ("claim", "settle"))
    assert value(found, "outbox_in_flight", **overcentric) == 0
    assert value(found, "outbox_lease_lost_total") == value(found, "outbox_released_total") == 0
    assert value(found, "outbox_ready") == 1
    assert any(name == "outbox_build_info" for name, _ in found)


@sqlite_only
def test_the_page_names_every_metric(metered: dict[str, str], tmp_path: Path) -> None:
    """What a worker tells is what docs/observing.md says that it tells, with its labels."""
    rows = re.findall(r"^\| `(outbox_\w+)` \|([^|]*)\|", (ROOT / "docs" / "observing.md").read_text(), re.MULTILINE)
    documented = {name: {*re.findall(r"`(\w+)`", labels)} for name, labels in rows}
    with worker(tmp_path, metered, command=OFTEN) as telling:
        url = base_url(telling)
        eventually(lambda: ("outbox_messages", (("state", "due"),)) in scrape(url))
        told: dict[str, set[str]] = {}
        for family in text_string_to_metric_families(ask(url, "/metrics")[1]):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = {label for each in family.samples for label in each.labels} - {"le"}
            if name.startswith("outbox_"):
                told[name] = labels
            assert family.documentation
        stop(telling)
    assert told == documented


def test_how_long_something_has_been_due(
    database: Database, metered: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """A pause is told at once; the age of what waits behind it grows, per destination, keyed or not."""
    assert run(metered, "pause", "--reason", "test").returncode == 0
    put(database, 2, body=BODY, ordering_key="a")
    put(database, 1, body=BODY, destination="elsewhere")
    with worker(tmp_path, metered, command=OFTEN) as idle:
        url = base_url(idle)
        # The figures of the database come from a thread of their own, perhaps before the worker itself has looked.
        eventually(lambda: value(scrape(url), "outbox_ready") == 1)
        eventually(lambda: value(scrape(url), "outbox_oldest_due_seconds", destination="overcentric") > 2)
        found = scrape(url)
        assert value(found, "outbox_oldest_due_seconds", destination="elsewhere") > 1
        assert value(found, "outbox_destination_paused", destination="overcentric") == 1
        assert value(found, "outbox_destination_away", destination="overcentric") == 0
        assert run(metered, "resume").returncode == 0
        eventually(lambda: value(scrape(url), "outbox_destination_paused", destination="overcentric") == 0)
        eventually(lambda: value(scrape(url), "outbox_oldest_due_seconds", destination="overcentric") == 0)
        stop(idle)


def test_a_lost_lease_is_counted(
    database: Database, metered: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """Somebody else took the message while it was in flight: the late outcome is counted, and is no attempt's."""
    put(database, body=BODY)
    destination.script = "ok delay=500ms"
    with worker(tmp_path, metered) as late:
        url = base_url(late)
        destination.wait_for(1)
        assert value(scrape(url), "outbox_in_flight", destination="overcentric") == 1
        with database.engine.begin() as connection:
            connection.execute(
                text("UPDATE outbox_message SET state = 'delivered', claimed_until = NULL, claim_token = NULL")
            )
        eventually(lambda: value(scrape(url), "outbox_lease_lost_total") == 1)
        found = scrape(url)
        stop(late)
    labels = {"destination": "overcentric", "outcome": "delivered", "status": "2xx"}
    assert value(found, "outbox_attempts_total", **labels) == 0


def test_alive_and_ready(destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """A worker without its database is alive and not ready; when the database works it is ready; both end with it."""
    with PostgresServer() as server:
        url = server.create_database("late")
        build_schema(url)
        server.stop()
        settings = environment(url, destination.url, metrics_port=0)
        with worker(tmp_path, settings, command=OFTEN) as patient:
            place = base_url(patient)
            patient.until("waiting:")
            assert ask(place, "/healthz") == (200, "ok\n")
            assert ask(place, "/readyz") == (503, "the database does not work, or was not looked at yet\n")
            assert not any(name == "outbox_messages" for name, _ in scrape(place))
            server.start()
            eventually(lambda: ask(place, "/readyz") == (200, "ok\n"), timeout=20)
            eventually(lambda: ("outbox_messages", (("state", "due"),)) in scrape(place), timeout=20)
            server.kill()
            eventually(lambda: ask(place, "/readyz")[0] == 503, timeout=20)
            assert ask(place, "/healthz") == (200, "ok\n")
            assert value(scrape(place), "outbox_ready") == 0
            stop(patient)
        with pytest.raises(OSError):
            ask(place, "/healthz")


def test_tables_of_another_version(empty_database: Database, destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """A worker that waits for `outbox db upgrade` is alive, and not ready before."""
    settings = environment(empty_database.url, destination.url, metrics_port=0)
    with worker(tmp_path, settings) as early:
        place = base_url(early)
        early.until("outbox db upgrade")
        assert ask(place, "/healthz")[0] == 200
        assert ask(place, "/readyz")[0] == 503
        assert run(settings, "db", "upgrade").returncode == 0
        eventually(lambda: ask(place, "/readyz")[0] == 200)
        stop(early)


_WEDGED = """
import time, threading, outbox.cli, outbox.clock
outbox.clock.DEAD_AFTER_SECONDS = 1.5
from outbox.worker.circuit import Circuit
Circuit.observe = lambda *_: time.sleep(600)
outbox.cli.main()
"""


@sqlite_only
def test_a_wedged_worker_answers_that_it_is_dead(
    database: Database, metered: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """The answer comes from a thread of its own, so it comes although the event loop hangs."""
    with worker(tmp_path, metered, command=[sys.executable, "-c", _WEDGED]) as wedged:
        place = base_url(wedged)
        assert ask(place, "/healthz")[0] == 200
        put(database, body=BODY)
        destination.wait_for(1)
        eventually(lambda: ask(place, "/healthz")[0] == 503)
        assert "and not since" in ask(place, "/healthz")[1]
        assert ask(place, "/readyz")[0] == 503
        assert ask(place, "/metrics")[0] == 200


@sqlite_only
def test_answers_to_other_questions(metered: dict[str, str], tmp_path: Path) -> None:
    """Another path is 404, another method 405; none of it is logged, and a client that says nothing stops nobody."""
    with worker(tmp_path, metered) as asked:
        place = base_url(asked)
        assert ask(place, "/")[0] == 404
        assert ask(place, "/metrics", "POST")[0] == 405
        assert ask(place, "/healthz", "HEAD") == (200, "")
        port = urlsplit(place).port
        mute = [socket.create_connection(("127.0.0.1", port or 0)) for _ in range(4)]
        assert ask(place, "/healthz")[0] == 200
        before = asked.text
        for each in mute:
            each.close()
        assert ask(place, "/metrics")[0] == 200
        assert asked.text == before
        began = time.monotonic()
        stop(asked)
        assert time.monotonic() - began < 1.0


@sqlite_only
def test_too_many_at_once_are_sent_away(metered: dict[str, str], tmp_path: Path) -> None:
    """Whoever opens connections without end gets no thread for each; afterwards there is room again."""
    with worker(tmp_path, metered) as asked:
        port = urlsplit(base_url(asked)).port or 0
        many = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
        threads = Path(f"/proc/{asked.process.pid}/task")
        if threads.is_dir():
            assert len([*threads.iterdir()]) < 30
        for each in many:
            each.close()
        eventually(lambda: _answers(f"http://127.0.0.1:{port}"))
        stop(asked)


def _answers(url: str) -> bool:
    try:
        return ask(url, "/healthz")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


@sqlite_only
def test_a_port_that_is_taken(settings: dict[str, str]) -> None:
    """Two workers cannot share one: 78, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run(settings | {"OUTBOX_METRICS_PORT": str(taken.getsockname()[1])}, "worker", "--once")
    assert done.returncode == 78
    assert "OUTBOX_METRICS_PORT" in done.stderr
    assert "in use" in done.stderr


@sqlite_only
def test_without_the_library(settings: dict[str, str]) -> None:
    """Metrics that were asked for and cannot be had are a configuration error with the command that helps."""
    program = "import sys; sys.modules['prometheus_client'] = None; import outbox.cli; outbox.cli.main()"
    command = [sys.executable, "-c", program, "worker", "--once"]
    done = subprocess.run(
        command, env=settings | {"OUTBOX_METRICS_PORT": "0"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 78
    assert done.stderr.splitlines()[-1].endswith("pip install 'overcentric-outbox[metrics]'")
    assert subprocess.run(command, env=settings, check=False).returncode == 0, "without a port nothing asks for it"


@sqlite_only
def test_a_worker_without_a_port_imports_no_metrics(settings: dict[str, str]) -> None:
    """Neither the library nor what serves it."""
    program = "import json, sys, outbox.cli; outbox.cli.run(['worker', '--once']); print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], env=settings, capture_output=True, text=True, check=True)
    loaded = {*json.loads(done.stdout.splitlines()[-1])}
    assert {"prometheus_client", "wsgiref", "outbox.service.metrics"} & loaded == set()


@sqlite_only
def test_nothing_personal_is_told(
    database: Database, metered: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """No id, no event's name, no key, no body, no error's text, no URL."""
    (identity,) = put(database, body=BODY, name="canary_name", ordering_key="canary_key")
    destination.script = "500"
    with worker(tmp_path, metered, command=OFTEN) as counting:
        url = base_url(counting)
        destination.wait_for(1)
        eventually(
            lambda: value(
                scrape(url), "outbox_attempts_total", destination="overcentric", outcome="retry", status="5xx"
            )
        )
        told = ask(url, "/metrics")[1]
        stop(counting)
    port = str(urlsplit(destination.url).port)
    for word in (identity, identity[:13], "canary", "sqlite", "127.0.0.1", port, "device"):
        assert word not in told, word


def test_an_answer_is_quick_in_a_backlog(database: Database, metered: dict[str, str], tmp_path: Path) -> None:
    """With 100,000 messages due an answer takes 50 ms at most: what is asked of the database is asked beside it."""
    _fill(database, 100_000)
    with worker(tmp_path, metered | {"OUTBOX_DELIVERY": "off"}, command=OFTEN) as idle:
        url = base_url(idle)
        eventually(lambda: ("outbox_messages", (("state", "due"),)) in scrape(url), timeout=30)
        assert value(scrape(url), "outbox_messages", state="due") == 100_000
        times = []
        for _ in range(20):
            began = time.perf_counter()
            assert ask(url, "/metrics")[0] == 200
            times.append(time.perf_counter() - began)
        stop(idle)
    assert sorted(times)[len(times) // 2] < 0.05, times


def _fill(database: Database, count: int) -> None:
    """Rows in one statement for each thousand; half of them with a key."""
    names = "id, destination, name, body, due_at, created_at, occurred_at, ordering_key"
    moment = {"postgresql": "now()", "mariadb": "UTC_TIMESTAMP(6)"}.get(database.kind, "'2026-01-01T00:00:00.000000Z'")
    with database.engine.begin() as connection:
        for start in range(0, count, 1000):
            ids = [uuid7() for _ in range(1000)]
            shown = [f"x'{each.hex}'" if database.kind == "mariadb" else f"'{each}'" for each in ids]
            rows = ", ".join(
                f"({each}, 'overcentric', 'n', '{{}}', {moment}, {moment}, {moment}, {'NULL' if place % 2 else repr(f'k{start + place}')})"
                for place, each in enumerate(shown)
            )
            connection.exec_driver_sql(f"INSERT INTO outbox_message ({names}) VALUES {rows}")


def test_the_oldest_is_what_status_says(database: Database) -> None:
    """Claimed and scheduled messages are not waited for; what nobody has configured is."""
    put(database, 3)
    put(database, 2, ordering_key="a", destination="crm")
    with database.engine.connect() as connection:
        found = oldest_due(connection, ["overcentric", "idle"])
        assert found.keys() == {"overcentric", "idle", "crm"}
        assert found["idle"] == 0
        assert 2 < found["crm"] < 60
        whole = counted(connection).oldest_due_seconds
        assert whole is not None
        assert abs(max(found.values()) - whole) < 5


def test_figures_that_are_old_are_not_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number of an hour ago would say that all is well."""
    monkeypatch.setattr(figures, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(figures, "_LATE_SECONDS", 0.3)
    looks = Looks(Settings(database_url=database.url))
    with looks.going_on():
        eventually(lambda: looks.figures is not None)
    eventually(lambda: looks.figures is None)


def test_a_histogram_counts_up_to_its_bounds() -> None:
    """What took exactly as long as a bound is within it."""
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        histogram.take(seconds)
    assert histogram.counts == [2, 1, 1]
    assert histogram.total == pytest.approx(7.65)


def test_an_id_tells_when_it_was_made() -> None:
    """To the millisecond, by the clock of who enqueued."""
    before = time.time()
    assert before - 0.002 < enqueued_at(str(uuid7())) < time.time() + 0.002


def test_a_clock_that_is_ahead_takes_nothing_away() -> None:
    """A delivery before its enqueue, by two clocks that are apart, counts as one that took no time."""
    meter = Meter(["overcentric"])
    ahead = f"{int((time.time() + 60) * 1000):012x}"
    identity = f"{ahead[:8]}-{ahead[8:]}-7000-8000-000000000000"
    claim = Claim(uuid7(), 0.0)
    meter.settled([(Message(identity, "n", "{}", 0, "retry", False, "overcentric", claim), Delivered(200))])
    assert meter.deliveries["overcentric"].total == 0
    assert meter.deliveries["overcentric"].counts[0] == 1
