"""What operators meet: each situation of docs/operations.md, made for real on SQLite."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from outbox.schema import message, utc_after
from outbox.store.look import living, standing
from outbox.testing import ThreadedFakeServer, fake_server
from support.databases import Database, build_schema
from support.events import body
from support.failures import fail_many
from support.rows import put
from support.waiting import eventually
from support.walkthrough import Stage
from support.workers import WorkerProcess, environment, worker

BODY = json.dumps(body("stripe_webhook"))
HOURS = 3600.0


class Shop:
    """A shop's database, its worker, and where it sends to."""

    def __init__(self, folder: Path, destination: ThreadedFakeServer, stack: ExitStack) -> None:
        self.destination = destination
        self._folder = folder
        self._stack = stack
        url = f"sqlite+pysqlite:///{folder / 'shop.db'}"
        build_schema(url)
        self.database = Database("sqlite", url)
        stack.callback(self.database.dispose)
        self.settings = environment(
            url,
            destination.url,
            log_level="error",
            pause_first="30s",
            pause_longest="60s",
            try_timeout="20s",
            lease="60s",
            retry_schedule="1h",
        )

    def works(self, **changes: Any) -> WorkerProcess:
        """Start a worker, and wait until it is seen among the living."""
        given = {f"OUTBOX_{name.upper()}": str(value) for name, value in changes.items()}
        started = self._stack.enter_context(worker(self._folder, self.settings | {"OUTBOX_LOG_LEVEL": "info"} | given))
        eventually(lambda: started.process.pid in self.living())
        return started

    def living(self) -> list[int]:
        """The workers that are seen to live, by their processes."""
        with self.database.engine.connect() as connection:
            return [each.pid for each in living(connection)]

    def count(self, state: str) -> int:
        """How many messages are in a state."""
        query = select(func.count()).where(message.c.state == state)
        with self.database.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def due(self) -> int:
        """How many messages could be claimed now."""
        with self.database.engine.connect() as connection:
            return standing(connection, ("overcentric",)).due

    def all_delivered(self, count: int) -> None:
        """Wait until so many are delivered."""
        eventually(lambda: self.count("delivered") == count, timeout=60)

    def works_off(self, count: int) -> None:
        """Start a worker, and wait until so many are delivered."""
        self.works()
        self.all_delivered(count)

    def stage(self, **meanwhile: Any) -> Stage:
        """The situation as it is now."""
        return Stage(self.settings, meanwhile)


@contextmanager
def shop(folder: Path) -> Iterator[Shop]:
    """Make a shop with an empty outbox."""
    with ExitStack() as stack:
        yield Shop(folder, stack.enter_context(fake_server()), stack)


@contextmanager
def overnight(folder: Path) -> Iterator[Stage]:
    """The destination answers 503 to all since hours."""
    with shop(folder) as here:
        put(here.database, 400, body=BODY, due_at=utc_after(-8 * HOURS), created_at=utc_after(-8 * HOURS))
        here.destination.script = "503"
        here.works(pause_first="8s", pause_longest="8s", retry_schedule="100ms").until("is paused")
        eventually(lambda: here.due() == 400)

        def the_api_is_back() -> None:
            here.destination.script = "ok"
            here.all_delivered(400)

        yield here.stage(the_api_is_back=the_api_is_back)


@contextmanager
def exhausted(folder: Path) -> Iterator[Stage]:
    """Messages have used up their attempts, some are refused."""
    with shop(folder) as here:
        fail_many(
            here.database,
            {"HTTP 503 Service Unavailable": 1200, "connection reset by peer before the answer": 300},
            failure_reason="exhausted",
            attempts=18,
        )
        fail_many(here.database, {"HTTP 400 Bad Request": 40}, last_status=400)

        yield here.stage(a_worker_runs=lambda: here.works_off(1500))


@contextmanager
def wrong_endpoint(folder: Path) -> Iterator[Stage]:
    """Somebody has configured a URL that is not there."""
    with shop(folder) as here:
        put(here.database, 50, body=BODY)
        here.destination.script = "404"
        wrong = here.works(pause_first="1h", pause_longest="1h", retry_schedule="100ms")
        wrong.until("is paused")
        eventually(lambda: here.due() == 50)

        def the_right_one_is_deployed() -> None:
            wrong.signal(signal.SIGTERM)
            wrong.wait()
            here.destination.script = "ok"
            here.works()

        yield here.stage(
            the_right_one_is_deployed=the_right_one_is_deployed, they_arrive=lambda: here.all_delivered(50)
        )


@contextmanager
def wrong_project(folder: Path) -> Iterator[Stage]:
    """Ten thousand were refused, for a project id that does not exist."""
    with shop(folder) as here:
        wrong = body("stripe_webhook")
        wrong["event"]["project_id"] = "shopp"
        if "identity" in wrong:
            wrong["identity"]["project_id"] = "shopp"
        fail_many(here.database, {"HTTP 400 Bad Request": 10_000}, last_status=400, body=json.dumps(wrong))

        yield here.stage(a_worker_runs=lambda: here.works_off(10_000))


@contextmanager
def grown(folder: Path) -> Iterator[Stage]:
    """Much was delivered long ago."""
    with shop(folder) as here:
        month_ago = dict.fromkeys(("due_at", "created_at", "occurred_at", "settled_at"), utc_after(-30 * 24 * HOURS))
        put(here.database, 2000, body=BODY, state="delivered", **month_ago)
        put(here.database, 500, body=BODY, state="delivered", settled_at=utc_after(-HOURS))
        here.works()
        yield here.stage()


@contextmanager
def stuck(folder: Path) -> Iterator[Stage]:
    """A worker is gone that held messages."""
    with shop(folder) as here:
        gone = here.works(lease="10s", try_timeout="5s")
        gone.until("concurrency")
        here.destination.script = "hang"
        put(here.database, 30, body=BODY)
        eventually(lambda: here.destination.count == 30)
        gone.signal(signal.SIGKILL)
        gone.wait()

        def another_one_runs() -> None:
            here.destination.script = "ok"
            here.works()
            here.all_delivered(30)

        yield here.stage(another_one_runs=another_one_runs)


@contextmanager
def erased(folder: Path) -> Iterator[Stage]:
    """A customer asks to be forgotten."""
    with shop(folder) as here:
        person = body("subscription_purchase")
        theirs = json.dumps(person)
        put(
            here.database,
            3,
            body=theirs,
            state="delivered",
            settled_at=utc_after(-HOURS),
            name="$subscription_purchase",
        )
        put(here.database, 1, body=theirs, name="$subscription_purchase")
        put(here.database, 5, body=json.dumps(body("minimal")))
        yield here.stage()


SITUATIONS = {
    each.__name__: each for each in (overnight, exhausted, wrong_endpoint, wrong_project, grown, stuck, erased)
}
