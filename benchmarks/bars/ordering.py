"""The promise of order: workers are killed, the destination fails, and each key's events arrive in their order."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError

from bars.application import engine_of, enqueue
from bars.bar import Bar, Figure
from outbox.schema import message
from outbox.store.trouble import is_locked
from outbox.testing import ThreadedFakeServer, fake_server
from support.databases import Database
from support.waiting import eventually
from support.workers import WorkerProcess, environment, worker

FAULTS = "6%: 500, 4%: reset, 1%: hang"
PRODUCERS = 4


@dataclass(frozen=True)
class Sizes:
    """How much of what."""

    keys: int
    events: int
    workers: int
    every: int
    """POSTs between two kills, about."""


def measure(
    database: Database,
    folder: Path,
    *,
    keys: int = 50,
    events: int = 200,
    workers: int = 4,
    every: int = 100,
    seed: int | None = None,
) -> Iterator[Figure]:
    """Enqueue `events` for each key, one transaction each, while workers are killed, one after so many POSTs."""
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    sizes = Sizes(keys, events, workers, every)
    with fake_server(FAULTS, seed=seed) as destination:
        kills = _run(database, folder, destination, sizes, _generator(seed))
        arrived = first_receptions(destination)
        again = destination.count - sum(map(len, arrived.values()))
    wrong = sum(numbers != sorted(numbers) for numbers in arrived.values())
    yield Figure(f"keys out of order, {kills} kills, {again} sent again, seed {seed}", wrong, most=0)
    never = keys * events - sum(map(len, arrived.values())) - _count(database, "failed")
    yield Figure(f"of {keys * events:,} events, never arrived", max(0, never), most=0)


def first_receptions(destination: ThreadedFakeServer) -> dict[str, list[int]]:
    """Each key's events in the order in which they arrived for the first time."""
    seen: set[str | None] = set()
    arrived: dict[str, list[int]] = defaultdict(list)
    for received in destination.received:
        if received.key not in seen:
            seen.add(received.key)
            properties = received.json["event"]["properties"]
            arrived[properties["key"]].append(properties["number"])
    return arrived


def _run(
    database: Database, folder: Path, destination: ThreadedFakeServer, sizes: Sizes, generator: random.Random
) -> int:
    """Produce, kill, and wait until all is settled; give the number of kills."""
    settings = environment(database.url, destination.url, max_attempts=1000, concurrency=32)
    kills = 0
    with ThreadPoolExecutor(PRODUCERS) as pool, ExitStack() as stack:
        living = [stack.enter_context(worker(folder, settings)) for _ in range(sizes.workers)]
        produced = [
            pool.submit(_produce, database, range(first, sizes.keys, PRODUCERS), sizes.events, generator.random())
            for first in range(PRODUCERS)
        ]

        def is_done() -> bool:
            return all(each.done() for each in produced) and _count(database, "pending") == 0

        while not is_done():
            mark = destination.count + generator.randint(sizes.every // 2, sizes.every * 3 // 2)
            eventually(lambda: destination.count >= mark or is_done(), timeout=300, interval=0.05)  # noqa: B023 - at once
            _kill(living.pop(generator.randrange(len(living))))
            kills += 1
            living.append(stack.enter_context(worker(folder, settings)))
        for each in produced:
            each.result()
    return kills


def _kill(process: WorkerProcess) -> None:
    process.signal(SIGKILL)
    process.wait()


def _produce(database: Database, keys: Sequence[int], events: int, seed: float) -> None:
    """Enqueue each key's events in their order, the keys by chance among each other."""
    engine, generator = engine_of(database), _generator(seed)
    numbers = dict.fromkeys(keys, 0)
    while numbers:
        number = generator.choice(list(numbers))
        key = f"key {number}"
        _until_written(engine, key, numbers[number])
        numbers[number] += 1
        if numbers[number] == events:
            del numbers[number]
    engine.dispose()


def _until_written(engine: Engine, key: str, number: int) -> None:
    """Enqueue an event. Four writers without a pause can keep SQLite's lock from each other for longer than one waits."""
    while True:
        try:
            enqueue(engine, ordering_key=key, key=key, number=number)
        except DBAPIError as error:
            if not is_locked(error):
                raise
        else:
            return


def _count(database: Database, state: str) -> int:
    query = select(func.count()).select_from(message).where(message.c.state == state)
    with database.engine.connect() as connection:
        return connection.execute(query).scalar_one()


def _generator(seed: float) -> random.Random:
    return random.Random(seed)  # noqa: S311 - chooses faults, guards nothing


BAR = Bar("ordering", measure, short={"keys": 8, "events": 20, "workers": 2, "every": 60})
