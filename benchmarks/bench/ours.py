"""A worker in a process of its own.

python -m bench.ours drain --database URL --sink URL [--set concurrency=128]
python -m bench.ours idle --database URL --sink URL --seconds 10
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
import time
from typing import Any

from sqlalchemy import Engine, event

from bench.cost import cpu_seconds, measured
from outbox.service import run_worker
from outbox.settings import Settings, load
from outbox.settings.fields import variable
from outbox.store.engine import open_engine
from outbox.worker import Mode

WARM_SECONDS = 5.0
"""An idle worker is left alone so long before it is measured: it polls fast at first."""


def main() -> None:
    """Read the command line, run a worker, print what it cost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=("drain", "idle"))
    parser.add_argument("--database", required=True)
    parser.add_argument("--sink", required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    settings = settings_from(given.database, given.sink, given.set)
    found = drain(settings) if given.verb == "drain" else idle(settings, given.seconds)
    print(json.dumps(found))


def settings_from(database: str, sink: str, changes: list[str]) -> Settings:
    """The settings that a worker with these changes has."""
    environ = {variable(name): value for name, _, value in (each.partition("=") for each in changes)}
    return load(environ={**environ, variable("database_url"): database, variable("endpoint"): sink}).settings


def drain(settings: Settings) -> dict[str, Any]:
    """Deliver what is there."""
    open_engine(settings.database_url).dispose()  # imports the database's driver, as all else is imported by now
    return measured(lambda: run_worker(settings, Mode.DRAIN).delivered)


def idle(settings: Settings, seconds: float) -> dict[str, Any]:
    """Run beside an empty outbox, and count the statements that it executes through SQLAlchemy, and its CPU."""
    statements = 0
    found: dict[str, Any] = {}

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal statements
        statements += "data_version" not in statement  # SQLite's look at its own header: it reads no table

    def watch() -> None:
        time.sleep(WARM_SECONDS)
        cpu, before = cpu_seconds(), statements
        time.sleep(seconds)
        found.update(cpu_percent=(cpu_seconds() - cpu) / seconds * 100, queries=(statements - before) / seconds)
        os.kill(os.getpid(), signal.SIGTERM)

    event.listen(Engine, "before_cursor_execute", count)
    watching = threading.Thread(target=watch)
    watching.start()
    run_worker(settings, Mode.FOREVER)
    watching.join()
    return found


if __name__ == "__main__":
    main()
