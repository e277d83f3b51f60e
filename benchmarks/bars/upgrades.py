"""`outbox db upgrade` from eight processes at the same moment, as eight containers of a rollout run it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from bars.bar import Bar, Figure
from outbox import migrate
from support.databases import Database
from support.workers import COMMAND, environment

PROCESSES = 8


def measure(database: Database, *, rounds: int = 20) -> Iterator[Figure]:
    """Remove the tables and let all of them make them, again and again."""
    given = environment(database.url, "http://127.0.0.1:9/")
    failures = []
    for _ in range(rounds):
        migrate.downgrade(database.engine, "base")
        started = [
            subprocess.Popen([*COMMAND, "db", "upgrade"], env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            for _ in range(PROCESSES)
        ]
        said = [(process.communicate()[0], process.returncode) for process in started]
        failures += [output.decode() for output, code in said if code]
    for each in failures:
        print(each)
    yield Figure(f"failures of {rounds} x {PROCESSES} upgrades at once", len(failures), most=0)


BAR = Bar("upgrades", measure, short={"rounds": 1})
