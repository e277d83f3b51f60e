"""What the producers did, in files of their own: a witness that no fault of the database can touch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Enqueued(NamedTuple):
    """One id that `enqueue` returned, and what became of its transaction. Times are of `time.monotonic()`."""

    id: str
    marker: str
    """The event's own number, in its properties: the id that arrives must bring this one."""
    at: float
    """When `enqueue` was called."""
    ended: float
    """When COMMIT or ROLLBACK had returned, or was known to have happened."""
    committed: bool
    how: str
    """`commit`, `rollback`, `savepoint`, `broken`, `landed` or `not landed`."""
    producer: int
    dedup_key: str | None = None
    ordering_key: str | None = None
    park: bool = False


class Trouble(NamedTuple):
    """An error that the database showed to a producer."""

    at: float
    """When the transaction began."""
    ended: float
    """When it raised."""
    producer: int
    kind: str
    """`connection`, `lock` or `other`."""
    text: str


Entry = Enqueued | Trouble
_ENTRIES: dict[str, Any] = {"enqueued": Enqueued, "trouble": Trouble}


class Ledger:
    """Appends entries to a file; what was written survives the writer."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *entries: Entry) -> None:
        """Write entries, in one piece."""
        lines = [json.dumps([type(each).__name__.lower(), *each]) + "\n" for each in entries]
        os.write(self._file, "".join(lines).encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read(path: Path) -> Iterator[Entry]:
    """All entries of a file."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            name, *values = json.loads(line)
            yield _ENTRIES[name](*values)
