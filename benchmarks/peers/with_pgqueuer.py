"""pgqueuer: https://github.com/janbjorge/pgqueuer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from peers.driving import Peer, Run, main

# Good ones of what `make bench ARGS="sweep --only pgqueuer-aiohttp"` tries, one at a time; from a busy machine, to be swept again.
BEST = {"batch_size": 250, "max_concurrent_tasks": 500, "pool": 0, "in_flight": 100}
SWEEP: list[dict[str, Any]] = [
    *({"batch_size": size} for size in (10, 50, 100)),
    *({"batch_size": size, "max_concurrent_tasks": 2 * size} for size in (500, 1000)),  # no less is accepted
    *({"max_concurrent_tasks": most} for most in (0, 1000, 2000)),  # 0: as many as there are
    *({"pool": size} for size in (2, 8)),
    *({"in_flight": many} for many in (32, 64, 256)),
]


async def enqueue(database: str, body: bytes, events: int) -> None:
    """Install the tables and insert the jobs, a thousand at once."""
    connection = await asyncpg.connect(database)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    for start in range(0, events, 1000):
        many = min(1000, events - start)
        await queries.enqueue(["post"] * many, [body] * many, [0] * many)
    await connection.close()


async def drain(run: Run) -> None:
    """Run one worker, on a connection of its own or a pool."""
    looking = await asyncpg.connect(run.database)

    async def left() -> int:
        return int(await looking.fetchval("SELECT count(*) FROM pgqueuer"))

    if run.settings["pool"]:
        async with asyncpg.create_pool(
            run.database, min_size=run.settings["pool"], max_size=run.settings["pool"]
        ) as pool:
            await _work(run, PgQueuer(AsyncpgPoolDriver(pool)), left)
    else:
        connection = await asyncpg.connect(run.database)
        await _work(run, PgQueuer(AsyncpgDriver(connection)), left)
        await connection.close()
    await looking.close()


async def _work(run: Run, worker: PgQueuer, left: Callable[[], Awaitable[int]]) -> None:
    async def handle(job: Job) -> None:
        await run.handle(job.payload or b"")

    worker.entrypoint("post")(handle)
    running = asyncio.create_task(
        worker.run(
            batch_size=run.settings["batch_size"],
            max_concurrent_tasks=run.settings["max_concurrent_tasks"] or None,
        )
    )
    ending = asyncio.create_task(run.until_empty(left))
    await asyncio.wait((running, ending), return_when=asyncio.FIRST_COMPLETED)
    worker.shutdown.set()
    await running
    await ending


if __name__ == "__main__":
    main(Peer(enqueue, drain, BEST, SWEEP))
