"""procrastinate: https://github.com/procrastinate-org/procrastinate."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import procrastinate

from peers.driving import Peer, Run, main

# Good ones of what `make bench ARGS="sweep --only procrastinate-aiohttp"` tries, one at a time; from a busy machine, to be swept again.
BEST = {"concurrency": 32, "delete_jobs": "always", "pool": 4, "in_flight": 100}
SWEEP: list[dict[str, Any]] = [
    *({"concurrency": many} for many in (8, 16, 32, 64, 128)),
    *({"pool": size} for size in (2, 4, 8, 16)),
    {"delete_jobs": "never"},
    {"delete_jobs": "successful"},
]


def _app(database: str, handle: Callable[[bytes], Awaitable[None]], pool: int) -> procrastinate.App:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=database, min_size=pool, max_size=pool))

    async def post(body: str) -> None:
        await handle(body.encode())

    app.task(name="post")(post)
    return app


async def _nothing(_: bytes) -> None:
    """Whoever only defers needs the task's name, not its work."""


async def enqueue(database: str, body: bytes, events: int) -> None:
    """Apply the schema and defer the jobs, a thousand at once."""
    app = _app(database, _nothing, 1)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for start in range(0, events, 1000):
            await app.tasks["post"].batch_defer_async(*[{"body": body.decode()}] * min(1000, events - start))


async def drain(run: Run) -> None:
    """Run one worker, which deletes or marks each job that is done."""
    app = _app(run.database, run.handle, run.settings["pool"])

    async def left() -> int:
        query = "SELECT count(*) AS left FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
        return int((await app.connector.execute_query_one_async(query))["left"])

    async with app.open_async():
        working = asyncio.create_task(
            app.run_worker_async(
                concurrency=run.settings["concurrency"],
                delete_jobs=run.settings["delete_jobs"],
                install_signal_handlers=False,
            )
        )
        await run.until_empty(left)
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


if __name__ == "__main__":
    main(Peer(enqueue, drain, BEST, SWEEP))
