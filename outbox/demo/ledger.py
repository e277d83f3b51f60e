"""What stands in the database's file, read with nothing of the outbox's own code: a witness must not be the accused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

_LOCK_SECONDS = 30


class Ledger:
    """Looks at the application's and the outbox's tables, and changes none.

    Not through a read-only connection: after a kill in mid-commit the next one to look must first roll back what the
    journal of the dead process holds.
    """

    def __init__(self, database: Path) -> None:
        self._uri = f"{database.as_uri()}?mode=rw"

    def committed(self) -> set[str]:
        """Ids of the events that the application has committed, from its own tables."""
        return {row[0] for row in self._rows("SELECT event_id FROM orders UNION SELECT event_id FROM payments")}

    def redelivered(self) -> int:
        """How many webhooks came again."""
        (row,) = self._rows("SELECT count(*) - count(DISTINCT delivery) FROM payments")
        return int(row[0])

    def states(self) -> dict[str, str]:
        """Where each message stands."""
        return dict(self._rows("SELECT id, state FROM outbox_message"))

    def held(self) -> set[str]:
        """Ids of the messages on which a worker has a lease, expired or not."""
        query = "SELECT id FROM outbox_message WHERE state = 'pending' AND claimed_until IS NOT NULL"
        return {row[0] for row in self._rows(query)}

    def refused(self) -> int:
        """How many attempts have failed because nobody took the connection."""
        (row,) = self._rows("SELECT count(*) FROM outbox_attempt WHERE certainty = 'not_sent'")
        return int(row[0])

    def reasons(self) -> list[tuple[str, int]]:
        """Errors of the recorded attempts and how often, the most frequent first."""
        query = "SELECT error, count(*) FROM outbox_attempt GROUP BY error ORDER BY 2 DESC"
        return self._rows(query)

    def most_tried(self) -> str | None:
        """The id of a message with more attempts than others, if any needed more than one."""
        found = self._rows("SELECT message_id FROM outbox_attempt GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1")
        return found[0][0] if found else None

    def _rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self._uri, uri=True, timeout=_LOCK_SECONDS)) as connection:
            return connection.execute(query).fetchall()
