"""Files that hold secrets, or people's data, and that others on this host may read."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from outbox.doctor.finding import Finding, ok, warning
from outbox.errors import ConfigurationError
from outbox.settings import Loaded, secret_files
from outbox.store.url import synchronous_url

_CHECK = "files"
_BESIDE = ("", "-wal", "-journal", "-shm")
"""What SQLite keeps a database in."""


def files(loaded: Loaded, folder: Path) -> Iterator[Finding]:
    """The files that secrets were read from, `.env`, and SQLite's own."""
    if os.name != "posix":
        return
    seen = [
        *((path, "holds a secret") for path in secret_files(loaded)),
        (folder / ".env", "may hold secrets"),
        *((path, "holds the events, which are people's data") for path in _database(loaded.settings.database_url)),
    ]
    findings = [found for path, holds in seen if (found := _exposed(path, holds)) is not None]
    yield from findings
    if not findings:
        yield ok(_CHECK, "no file with a secret, or with events, is open to others")


def _exposed(path: Path, holds: str) -> Finding | None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:  # it is not there, or not ours to look at
        return None
    if not mode & 0o077:
        return None
    whom = "everybody on this host" if mode & 0o007 else "its group"
    remedy = f"chmod go= {shlex.quote(str(path))}, if nobody but its owner needs it"
    return warning(_CHECK, f"{path} {holds}, and is open to {whom} (mode {mode:o})", remedy)


def _database(database_url: str) -> list[Path]:
    try:
        url = synchronous_url(database_url)
    except ConfigurationError:  # which the check of the database has told
        return []
    if url.get_backend_name() != "sqlite" or not url.database:
        return []
    return [Path(f"{url.database}{suffix}") for suffix in _BESIDE]
