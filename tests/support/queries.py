"""How many statements reach a database's server, whoever sends them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from support.databases import Database

_LOGGED = re.compile(r"LOG:  (?:statement|execute \S+):")


@dataclass(frozen=True)
class Asked:
    """Statements, and how long it took to count them."""

    count: int
    seconds: float

    @property
    def rate(self) -> float:
        """Statements a second."""
        return self.count / self.seconds


class Counter:
    """Counts from when it was made; on PostgreSQL what has connected since then."""

    def __init__(self, database: Database) -> None:
        assert database.server is not None, "SQLite has no server"
        self._database = database
        self._server = database.server
        if database.kind == "postgresql":
            name = database.engine.url.database
            self._server.execute(f"ALTER DATABASE {name} SET log_statement = 'all'")
        self._own = 0
        self.restart()

    def restart(self) -> None:
        """Begin anew."""
        first = self._read()
        self._begun, self._before = time.monotonic(), self._read()
        self._own = self._before - first

    @property
    def seconds(self) -> float:
        """How long it has counted."""
        return time.monotonic() - self._begun

    def read(self) -> Asked:
        """What was asked since then, our own questions left out."""
        return Asked(self._read() - self._before - self._own, self.seconds)

    def _read(self) -> int:
        if self._database.kind == "postgresql":
            return len(_LOGGED.findall(self._server.log.read_text(errors="replace")))
        return int(self._server.execute("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1])
