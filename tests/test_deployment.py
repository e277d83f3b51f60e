"""Many workers on one database, two versions beside each other, and the files that put workers to work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from outbox.testing import ThreadedFakeServer
from support import command_lines
from support.databases import Database
from support.pages import blocks
from support.project import ROOT
from support.rows import put
from support.service_manager import service_manager
from support.trouble import BODY, stop, until_delivered
from support.waiting import eventually
from support.workers import run, worker

PAGE = ROOT / "docs" / "deployment.md"
WORKERS = 3
ON_SERVERS = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)


def connections(database: Database) -> int:
    """How many sessions the server has for this database, but for those of this test's own engine."""
    name = database.engine.url.database
    assert database.server is not None
    if database.kind == "postgresql":
        query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND application_name LIKE 'outbox/%'"
    else:
        query = f"SELECT count(*) FROM information_schema.processlist WHERE db = '{name}'"
    database.engine.dispose()
    return int(database.server.execute(query)[0][0])


@ON_SERVERS
@pytest.mark.parametrize(
    ("more", "postgresql", "mariadb"),
    [({}, 1, 1), ({"OUTBOX_WAKE": "on"}, 2, 1), ({"OUTBOX_WAKE": "on", "OUTBOX_METRICS_PORT": "0"}, 3, 2)],
    ids=["alone", "woken", "measured"],
)
def test_connections_of_a_worker(
    database: Database,
    settings: dict[str, str],
    destination: ThreadedFakeServer,
    tmp_path: Path,
    more: dict[str, str],
    postgresql: int,
    mariadb: int,
) -> None:
    """One each, whatever the concurrency, at rest and at work; one more to listen on PostgreSQL, one for its metrics."""
    each = postgresql if database.kind == "postgresql" else mariadb
    settings |= {"OUTBOX_CONCURRENCY": "64", **more}
    with ExitStack() as stack:
        fleet = [stack.enter_context(worker(tmp_path, settings)) for _ in range(WORKERS)]
        eventually(lambda: connections(database) == WORKERS * each, timeout=20)
        destination.script = "delay=20ms"
        put(database, 600, body=BODY)
        most = 0
        while destination.count < 600:
            most = max(most, connections(database))
        assert most == WORKERS * each
        until_delivered(database, 600)
        for process in fleet:
            stop(process)
    eventually(lambda: connections(database) == 0)


def test_a_worker_goes_on_beside_newer_tables(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """A migration of a newer version ends no worker that runs; the old version does not start on it, and says why."""
    with service_manager(tmp_path) as manager, worker(tmp_path, settings | manager.environment()) as old:
        put(database, 3, body=BODY)
        until_delivered(database, 3)
        with database.engine.begin() as connection:
            connection.execute(text("ALTER TABLE outbox_message ADD COLUMN newer VARCHAR(20)"))
            connection.execute(text("UPDATE outbox_alembic_version SET version_num = '9999'"))
        put(database, 3, body=BODY)
        until_delivered(database, 6)
        with worker(tmp_path, settings) as late:
            late.until("is at version 9999, this program knows versions up to")
            put(database, 3, body=BODY)
            until_delivered(database, 9)
            stop(late)
        refused = run(settings, "worker", "--drain")
        assert refused.returncode == 4
        assert "Upgrade this program" in refused.stderr
        stop(old)
        assert manager.texts("READY=") == ["1"]


def test_a_newer_worker_waits_for_the_upgrade(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """One that starts before its tables are there waits, while the old ones go on, and works when they are."""
    with database.engine.begin() as connection:
        newest = connection.execute(text("SELECT version_num FROM outbox_alembic_version")).scalar_one()
        connection.execute(text("UPDATE outbox_alembic_version SET version_num = '0001'"))
    put(database, 2, body=BODY)
    with worker(tmp_path, settings) as early:
        early.until("is at version 0001, this program needs version")
        with database.engine.begin() as connection:
            connection.execute(text(f"UPDATE outbox_alembic_version SET version_num = '{newest}'"))
        until_delivered(database, 2)
        stop(early)


def test_each_command_that_is_shown_is_one() -> None:
    """Whatever calls the outbox on the page parses, in an image's command line, too."""
    shown = [words for block in blocks(PAGE) if block.language in {"sh", ""} for words in _calls(block.text)]
    assert len(shown) > 7
    for words in shown:
        command_lines.check(words)


def _calls(text: str) -> Iterator[list[str]]:
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\||^\w+: ", line):
            words = shlex.split(part, comments=True)
            if words and words[0].rpartition("/")[2] == "outbox":
                yield words
            elif "overcentric-outbox" in words and words[:2] == ["docker", "run"]:
                yield ["outbox", *(words[words.index("overcentric-outbox") + 1 :] or ["worker"])]
