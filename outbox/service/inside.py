"""Run a worker to its end inside a process that is somebody else's: a test's. No signals, no tuning of the interpreter."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from outbox.errors import TryLater
from outbox.service.run import loop_factory, open_worker
from outbox.settings import Settings
from outbox.worker import Counts, Mode, Worker


class Ended(NamedTuple):
    """How a worker ended."""

    counts: Counts
    later: str | None
    """Why it could not send something that is due."""


def run_inside(settings: Settings, mode: Mode, within: float) -> Ended:
    """Run a worker on a thread of its own, whether or not an event loop runs on the caller's, and wait for its end.

    Raises `TimeoutError` where it has not ended `within` so many seconds, and then been stopped; what `Worker.run` raises.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="outbox-worker") as executor:
        return executor.submit(_in_a_loop, settings, mode, within).result()


def _in_a_loop(settings: Settings, mode: Mode, within: float) -> Ended:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_work(settings, mode, within))


async def _work(settings: Settings, mode: Mode, within: float) -> Ended:
    later: str | None = None
    with open_worker(settings, mode) as worker:
        deadline = _Deadline(worker, within)
        try:
            await worker.run()
        except TryLater as error:
            later = error.message
        finally:
            deadline.cancel()
    if deadline.passed:
        msg = f"the worker was not done within {within:g} s: {worker.report.counts}"
        raise TimeoutError(msg)
    return Ended(worker.report.counts, later)


class _Deadline:
    def __init__(self, worker: Worker, seconds: float) -> None:
        self.passed = False
        self._worker = worker
        self._handle = asyncio.get_running_loop().call_later(seconds, self._pass)

    def cancel(self) -> None:
        self._handle.cancel()

    def _pass(self) -> None:
        self.passed = True
        self._worker.stop()
