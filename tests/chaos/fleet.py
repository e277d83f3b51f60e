"""The workers: real processes, each in a slot; when one is killed another takes its slot."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from chaos.plan import LEASE_SECONDS, TRY_SECONDS, Plan
from support.waiting import eventually
from support.workers import COMMAND, environment

DRAIN_SECONDS = 5
_STOP_SECONDS = 40.0
"""Longer than a drain, and 10 s of settles that fail, may take."""
_STARTED = "concurrency"
"""A word of the first line that a worker logs."""
_PATIENCE = 15.0
"""How long a fault waits for a worker that has sent something."""


class Worker:
    """One process, from its start to its end."""

    def __init__(self, number: int, slot: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.number = number
        self.slot = slot
        self.log = log
        self.started = time.monotonic()
        self.ended: float | None = None
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """How it ended."""
        return self._process.poll()

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self._process.kill()
        self._process.wait()
        self.ended = time.monotonic()

    def freeze(self) -> None:
        """SIGSTOP, and wait until every thread of it stands."""
        self._process.send_signal(signal.SIGSTOP)
        eventually(lambda: all(state in "TZX" for state in _thread_states(self.pid)))

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM; its exit code, or -SIGKILL of one that would not end."""
        self._process.terminate()
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self.ended = time.monotonic()


def _thread_states(pid: int) -> list[str]:
    tasks = Path(f"/proc/{pid}/task")
    return [(each / "stat").read_text().rpartition(")")[2].split()[0] for each in tasks.iterdir()]


class Slot:
    """A place for a worker; who does something to its worker holds the lock."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lock = threading.Lock()
        self.worker: Worker


class Fleet:
    """Starts workers, keeps them running, and knows who lived when."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        urls: list[str],
        endpoint: Callable[[int], str],
        heard: Mapping[int, float],
    ) -> None:
        self.slots = [Slot(number) for number in range(plan.workers)]
        self.workers: list[Worker] = []
        self.accidents: list[str] = []
        """Workers that ended by themselves, or not as they should."""
        self._plan = plan
        self._folder = folder
        self._urls = urls
        self._endpoint = endpoint
        self._heard = heard
        self._starting = threading.Lock()

    def start(self) -> None:
        """Fill every slot."""
        for each in self.slots:
            self.fill(each)

    def fill(self, slot: Slot, **surroundings: str) -> None:
        """Start a worker in a slot."""
        with self._starting:
            number = len(self.workers)
            log = self._folder / f"worker-{number}.log"
            settings = environment(
                self._urls[slot.number],
                self._endpoint(number),
                concurrency=self._plan.concurrency,
                lease=f"{LEASE_SECONDS}s",
                try_timeout=f"{TRY_SECONDS}s",
                drain_timeout=f"{DRAIN_SECONDS}s",
                retry_schedule="200ms,500ms,1s",
            )
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [*COMMAND, "worker"],
                    env=settings | surroundings,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
            slot.worker = Worker(number, slot.number, process, log)
            self.workers.append(slot.worker)

    @contextmanager
    def hold(self, chance: random.Random) -> Iterator[Slot]:
        """Have a slot for oneself; most often one whose worker has been sending for a while."""
        slot = self._take(chance, sending=chance.uniform(0.0, 3.0) if chance.random() < 0.9 else None)
        try:
            yield slot
        finally:
            slot.lock.release()

    def _take(self, chance: random.Random, *, sending: float | None) -> Slot:
        """Take a slot whose worker has been sending for so many seconds; any where that takes too long."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            for slot in chance.sample(self.slots, len(self.slots)):
                if not slot.lock.acquire(blocking=False):
                    continue
                self._revive(slot)
                now = time.monotonic()
                if sending is None or now > deadline or self._heard.get(slot.worker.number, now) < now - sending:
                    return slot
                slot.lock.release()
            time.sleep(0.01)

    def revive(self) -> None:
        """Fill the slots of workers that have ended."""
        for each in self.slots:
            with each.lock:
                self._revive(each)

    def _revive(self, slot: Slot) -> None:
        if slot.worker.code is not None:
            self._note(slot.worker, slot.worker.code)
            slot.worker.ended = time.monotonic()
            self.fill(slot)

    def stop(self, slot: Slot) -> None:
        """Stop a slot's worker with SIGTERM, which must end it with 0, or at once while it was still starting."""
        code = slot.worker.stop()
        if code and not (code == -signal.SIGTERM and _STARTED not in slot.worker.log.read_text()):
            self._note(slot.worker, code)

    def _note(self, worker: Worker, code: int) -> None:
        said = worker.log.read_text(errors="replace").splitlines()[-3:]
        self.accidents.append(f"worker {worker.number} ended with {code}: {' | '.join(said)}")

    def lived(self, slot: int, since: float, until: float) -> set[int]:
        """The workers that lived in a slot at some time of an interval."""
        return {
            each.number
            for each in self.workers
            if each.slot == slot and each.started <= until and (each.ended is None or each.ended >= since)
        }

    def end(self) -> None:
        """Kill whatever still runs."""
        for each in self.workers:
            if each.code is None:
                os.kill(each.pid, signal.SIGKILL)
                each.kill()
