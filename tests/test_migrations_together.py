"""Eight processes migrate one database at the same moment."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from outbox import migrate
from outbox.migrate.exclusive import exclusive
from outbox.schema.version import HEAD
from support.databases import Database, maria_database
from support.servers import MariaServer

PROCESSES = 8
ROUNDS = 5

_PROCESS = """
import sys
from outbox import migrate
from outbox.migrate.exclusive import exclusive
from outbox.store.engine import open_engine
print("ready", flush=True)
for line in sys.stdin:
    engine = open_engine(line.strip())
    try:
        change = migrate.upgrade(engine)
        print(change.before, change.after, flush=True)
    except Exception as error:
        print(type(error).__name__, str(error).replace(chr(10), " "), flush=True)
    engine.dispose()
"""


@contextmanager
def standing_by() -> Iterator[list[subprocess.Popen[str]]]:
    """Eight processes that have imported everything and wait for a URL."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _PROCESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(PROCESSES)
        ]
        try:
            for process in processes:
                assert heard(process) == "ready"
            yield processes
        finally:
            for process in processes:
                process.kill()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{text}\n")
    process.stdin.flush()


def test_eight_processes_upgrade_at_once(empty_database: Database) -> None:
    """One of them does the work, seven find it done, none fails, five times over."""
    with standing_by() as processes:
        for _ in range(ROUNDS):
            for process in processes:
                tell(process, empty_database.url)
            said = Counter(heard(process) for process in processes)
            assert said == {f"None {HEAD}": 1, f"{HEAD} {HEAD}": PROCESSES - 1}
            migrate.downgrade(empty_database.engine, "base")


def test_the_databases_of_one_server_do_not_wait_for_each_other(mariadb_server: MariaServer) -> None:
    """On MariaDB lock names are the whole server's: ours holds the database's name."""
    with (
        maria_database(mariadb_server) as one,
        maria_database(mariadb_server) as other,
        exclusive(one.engine),
    ):
        assert migrate.upgrade(other.engine).after == HEAD
