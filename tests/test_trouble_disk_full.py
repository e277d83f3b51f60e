"""A disk that is full: a worker stays, sends nothing that it cannot settle, and goes on when there is room again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from outbox.testing import ThreadedFakeServer
from support.databases import Database, build_schema
from support.rows import put
from support.servers.server import unprivileged
from support.small_disk import SmallDisk, small_disk
from support.trouble import BODY, bore_it, stop, until_delivered, until_quiet
from support.workers import environment, worker

BULKY = BODY + " " * 1500


@pytest.fixture
def own_disk(own_database: Database) -> Iterator[SmallDisk]:
    """Give a small disk on which the messages of the test's own server lie."""
    server = own_database.server
    assert server is not None
    with small_disk(server.home / "disk", megabytes=16) as disk:
        space = disk.path / "space"
        space.mkdir()
        if identity := unprivileged():
            os.chown(space, identity["user"], identity["group"])
        server.execute(f"CREATE TABLESPACE small LOCATION '{space}'", database="shop")
        server.execute("ALTER TABLE outbox_message SET TABLESPACE small", database="shop")
        yield disk
        own_database.dispose()
        server.stop()


@pytest.mark.parametrize("own_database", ["postgresql"], indirect=True)
def test_postgresql(
    own_database: Database, own_disk: SmallDisk, destination: ThreadedFakeServer, tmp_path: Path
) -> None:
    """The messages' tablespace is full."""
    survive(own_database, own_disk, destination, tmp_path, "No space left on device")


def test_sqlite(destination: ThreadedFakeServer, tmp_path: Path) -> None:
    """The file's disk is full."""
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        database = Database("sqlite", f"sqlite:///{disk.path}/outbox.db")
        build_schema(database.url)
        survive(database, disk, destination, tmp_path, "full")
        database.dispose()


def survive(database: Database, disk: SmallDisk, destination: ThreadedFakeServer, folder: Path, words: str) -> None:
    ids = put(database, 300, body=BULKY)
    destination.script = "delay=20ms"
    settings = environment(database.url, destination.url, concurrency=4, lease="60s")
    with worker(folder, settings) as patient:
        destination.wait_for(20, timeout=30)
        disk.fill()
        patient.until("waiting:", timeout=30)
        until_quiet(destination)
        assert destination.count < 300
        disk.make_room()
        until_delivered(database, 300)
        stop(patient)
    assert destination.keys == dict.fromkeys(ids, 1)
    assert words in bore_it(patient, most=2)[0]
