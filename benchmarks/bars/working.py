"""Workers as processes, with the settings that people have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from support.databases import Database
from support.workers import WorkerProcess, environment, worker

AS_INSTALLED = {"lease": "60s", "try_timeout": "10s", "drain_timeout": "25s", "retry_schedule": "5s,30s,300s"}


@contextmanager
def working(
    database: Database, folder: Path, endpoint: str, *, workers: int = 1, **settings: Any
) -> Iterator[list[WorkerProcess]]:
    """Run workers until the block ends."""
    given = environment(database.url, endpoint, **AS_INSTALLED | settings)
    with ExitStack() as stack:
        yield [stack.enter_context(worker(folder, given)) for _ in range(workers)]
