"""A worker in this process that has nothing to do, and whose next look by the clock is far away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from outbox.clock import lease_clock
from outbox.delivery import Delivery
from outbox.policy import Policy
from outbox.settings import Settings
from outbox.store import Store
from outbox.store.engine import open_engine
from outbox.worker import Worker
from outbox.worker.pace import Waits
from support.waiting import eventually

FAR = 60.0


class _Seldom(Waits):
    """Once a minute, whether or not commits are noticed."""

    def next(self) -> float:
        """Seconds to wait now."""
        return FAR


class WaitingWorker:
    """Polls as a worker does, until `wait_long`."""

    def __init__(self, worker: Worker, loop: asyncio.AbstractEventLoop) -> None:
        self._waker = worker._waker
        self._loop = loop

    def wait_long(self) -> None:
        """Let it look by the clock once a minute, and return when that minute has begun, with commits being noticed."""
        self._loop.call_soon_threadsafe(self._poll_seldom)
        eventually(lambda: self.is_idle and self._waker._next_look - lease_clock() > FAR / 2)

    @property
    def is_idle(self) -> bool:
        """Whether it waits for messages, and notices commits."""
        watching = self._waker._watching
        return self._waker.waiting > 0 and watching is not None and not watching.done()

    def _poll_seldom(self) -> None:
        self._waker._polling = _Seldom(FAR, FAR, 1.0)


@contextmanager
def waiting_worker(database_url: str, endpoint: str, *, wake: str = "on") -> Iterator[WaitingWorker]:
    """Run a worker on a thread until the block ends."""
    settings = Settings(database_url=database_url, endpoint=endpoint, wake=wake)
    engine = open_engine(database_url, idle_in_transaction=10)
    worker = Worker(Store(engine, listens=wake == "on"), Delivery(settings, Policy.of(settings)), settings)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(worker.run()))
    thread.start()
    try:
        yield WaitingWorker(worker, loop)
    finally:
        loop.call_soon_threadsafe(worker.stop)
        thread.join(timeout=30)
        loop.close()
        engine.dispose()
