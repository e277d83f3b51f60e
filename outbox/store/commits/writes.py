"""SQLite: writes to the file and to its write-ahead log, as the kernel tells of them.

Asking `PRAGMA data_version` every 5 ms needs no kernel's help, but waking up so often costs 1.5 to 3 % of a core (measured),
a kernel that tells nothing at all.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Engine

from outbox.store.commits.inotify import Inotify
from outbox.store.commits.readable import Lost, NotThere, readable

_SOON = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064)
"""Waits between the looks whether what was written has been committed: a write-ahead log is synchronised first."""

_REST_SECONDS = 0.005
"""After a commit: who writes all the time is noticed no more often."""


async def writes(engine: Engine) -> AsyncGenerator[None]:
    """Yield when others have committed to the file."""
    try:
        with _connected(engine) as connection, closing(Inotify()) as inotify:
            files = _files(connection)
            version = _version(connection)
            inotify.watch(files)
            while True:
                yield
                await asyncio.sleep(_REST_SECONDS)
                version = await _until_changed(connection, version, inotify, files)
    except OSError as error:
        raise NotThere(str(error)) from error
    except sqlite3.Error as error:
        raise Lost(str(error)) from error


async def _until_changed(
    connection: sqlite3.Connection, version: int | None, inotify: Inotify, files: list[str]
) -> int | None:
    while True:
        await readable(inotify.fileno())
        for wait in _SOON:
            inotify.drain()
            now = _version(connection)
            if now not in {None, version}:
                inotify.watch(files)  # of which the log may be a new one
                return now
            await asyncio.sleep(wait)
        inotify.watch(files)


@contextmanager
def _connected(engine: Engine) -> Iterator[sqlite3.Connection]:
    """Open the file once more, to be asked from the event loop's thread: it waits for no lock."""
    arguments, options = engine.dialect.create_connect_args(engine.url)
    opened: Any = engine.dialect.connect(*arguments, **{**options, "timeout": 0, "isolation_level": None})
    with closing(opened) as connection:
        yield connection


def _files(connection: sqlite3.Connection) -> list[str]:
    path = next(row[2] for row in connection.execute("PRAGMA database_list") if row[1] == "main")
    if not path:
        raise NotThere
    return [path, f"{path}-wal"]


def _version(connection: sqlite3.Connection) -> int | None:
    """What changes with each commit of another connection; None while the file is locked."""
    try:
        return int(connection.execute("PRAGMA data_version").fetchone()[0])
    except sqlite3.OperationalError:
        return None
