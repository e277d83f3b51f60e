"""The tour: what happens, in its order, each thing told in a line as it happens."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from outbox.demo.ledger import Ledger
from outbox.demo.plan import plan
from outbox.demo.shop import Shop, visits_at
from outbox.demo.verdict import Arrival, Verdict, judge
from outbox.demo.workers import LEASE_SECONDS, Workers
from outbox.errors import OutboxError
from outbox.migrate import upgrade
from outbox.store.engine import open_engine
from outbox.testing import ThreadedFakeServer, fake_server, read_record

_ANSWERS = "6%: 503, 3%: reset, ok delay=100ms..300ms"
_VISITS_A_SECOND = 120.0
_LOOK_SECONDS = 0.005

Say = Callable[[str], None]


class Tour:
    """The shop, the destination and the workers in one folder, and what happens to them."""

    def __init__(self, folder: Path, *, events: int, seed: int | None, say: Say, check: Callable[[], None]) -> None:
        self.database = folder / "shop.db"
        self._record = folder / "received.jsonl"
        self._folder = folder
        self._events = events
        self._seed = seed
        self._say = say
        self._check = check
        self._patience = 60.0 + events / 20

    def run(self) -> Verdict:
        """Run it from the empty file to the verdict. Raises `OutboxError` where something other than planned ends it."""
        self._make_tables()
        with ExitStack() as stack:
            self._destination = stack.enter_context(fake_server(_ANSWERS, seed=self._seed, record=self._record))
            self._tell_of_destination(self._destination)
            self._workers = Workers(self._folder, f"sqlite:///{self.database}", self._destination.url)
            stack.callback(self._workers.end)
            self._open_shop(stack)
            held = self._kill_a_worker()
            self._take_destination_down()
            self._see_the_lease_run_out(held)
            self._close_shop()
            self._drain()
        return self._judge()

    def _make_tables(self) -> None:
        engine = open_engine(f"sqlite:///{self.database}")
        upgrade(engine)
        engine.dispose()
        self.ledger = Ledger(self.database)
        self._say(f"{self.database}: a shop's SQLite database, with the outbox's tables in it")

    def _tell_of_destination(self, destination: ThreadedFakeServer) -> None:
        self._say(f"{destination.url} stands in for the Event API. It is slow,")
        self._say("gives some events a 503, and reads some whole only to cut the connection")

    def _open_shop(self, stack: ExitStack) -> None:
        generator = random.Random(self._seed)  # noqa: S311 - draws a story, guards nothing
        visits = plan(self._events, generator)
        self._shop = Shop(self.database, visits, visits_at(_VISITS_A_SECOND, generator))
        stack.enter_context(self._shop.opened())
        self._say("The shop opens. Each order and its event are one transaction; some of them roll back")

    def _kill_a_worker(self) -> set[str]:
        """Kill one in mid-batch and start another; give the ids of what the first one held."""
        doomed = self._workers.start()
        self._say(f"outbox worker, process {doomed.pid}, claims events for {LEASE_SECONDS} s at a time and sends them")
        self._until(lambda: len(self._destination.accepted) >= self._events // 5, "a fifth of the events to arrive")
        doomed.kill()
        held = self.ledger.held()
        arrived = len(held & self._destination.accepted.keys())
        self._say(f"kill -9 {doomed.pid}, in mid-batch. It held {len(held)} events, {arrived} of which have arrived")
        served = self._shop.served
        self._worker = self._workers.start()
        self._say(
            f"outbox worker again, process {self._worker.pid}. It cannot know which arrived: it will send them all"
        )
        self._until(lambda: self._shop.served > served or not self._shop.is_open, "the shop to go on")
        self._say("The shop has noticed nothing and goes on selling: it only writes to its own database")
        return held

    def _take_destination_down(self) -> None:
        goal = self._events * 2 // 5
        self._until(lambda: len(self._destination.accepted) >= goal, "two fifths of the events to arrive")
        before = self.ledger.refused()
        self._destination.pause()
        self._say("The destination goes down: connections are refused")
        self._until(lambda: self.ledger.refused() > before or not self._pending(), "the worker to notice")
        self._destination.resume()
        self._say("It is back. What could not be sent waits a moment in the database, and is sent again")

    def _see_the_lease_run_out(self, held: set[str]) -> None:
        """Wait until all that the killed worker held is settled by its successor."""
        self._until(lambda: not held & self._pending(), "the lease of the killed worker to end")
        if held:
            self._say(
                f"The dead worker's lease has run out by itself: {self._worker.pid} has sent its {len(held)} events"
            )

    def _close_shop(self) -> None:
        self._until(lambda: not self._shop.is_open, "the shop to close")
        again = self.ledger.redelivered()
        self._say(f"The shop closes. {again} webhooks came twice; each pair is one event, thanks to its dedup_key")
        self._worker.terminate()
        self._until(lambda: self._worker.code is not None, "the worker to stop")
        self._say(f"SIGTERM, as in a deploy: {self._worker.pid} finished what was in flight and gave back the rest")

    def _drain(self) -> None:
        """Drain until nothing is pending: a drain does not wait for rows whose next attempt is due later."""
        deadline = time.monotonic() + self._patience
        remaining = len(self._pending())
        while True:
            draining = self._workers.start("--drain")
            self._until(lambda: draining.code is not None, "outbox worker --drain to end")  # noqa: B023 - called now
            if not self._pending() or time.monotonic() > deadline:
                break
        self._say(f"outbox worker --drain sent the remaining {remaining}, and ended because nothing is due")

    def _judge(self) -> Verdict:
        for error, count in self.ledger.reasons()[:1]:
            self._say(f"The log of attempts says why events had to wait, such as: {error} ({count} times)")
        received = map(Arrival.of, read_record(self._record))
        return judge(self.ledger.committed(), self._shop.rolled_back, received, self.ledger.states())

    def _pending(self) -> set[str]:
        return {key for key, state in self.ledger.states().items() if state == "pending"}

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition; whatever went wrong meanwhile is raised."""
        deadline = time.monotonic() + self._patience
        while not condition():
            self._check()
            self._workers.check()
            if self._shop.failure is not None:
                msg = f"the shop failed with {type(self._shop.failure).__name__}: {self._shop.failure}"
                raise OutboxError(msg) from self._shop.failure
            if time.monotonic() > deadline:
                msg = f"waited {self._patience:g} s for {what}"
                raise OutboxError(msg, hint="Run the demo with --keep to see how far it came.")
            time.sleep(_LOOK_SECONDS)
        self._workers.check()
