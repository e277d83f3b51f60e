"""Messages as a transaction sees them that may have written them itself: what an application's tests look at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select

from outbox.schema import dedup, message

_PAGE = 500


class Enqueued(NamedTuple):
    """A message, and the event that it carries."""

    id: UUID
    name: str
    destination: str
    state: str
    ordering_key: str | None
    on_unknown: str
    created_at: datetime
    due_at: datetime
    occurred_at: datetime
    body: str
    """What is sent: the request body as it is stored."""

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    @property
    def event(self) -> dict[str, Any]:
        """The Event API's event object; empty where the body holds none, as a webhook's may."""
        return self._object("event")

    @property
    def properties(self) -> dict[str, Any]:
        """The event's properties; empty where it has none."""
        found = self.event.get("properties")
        return found if isinstance(found, dict) else {}

    @property
    def identity(self) -> dict[str, Any]:
        """The Event API's identity object; empty where nobody is named."""
        return self._object("identity")

    def _object(self, key: str) -> dict[str, Any]:
        body = self.json
        found = body.get(key) if isinstance(body, dict) else None
        return found if isinstance(found, dict) else {}


_COLUMNS = tuple(message.c[name] for name in Enqueued._fields)


def enqueued(connection: Connection, name: str | None = None) -> Iterator[Enqueued]:
    """Messages in the caller's own transaction, committed or not, the newest first; of one name, or all.

    Read along the primary key, some hundred at once: who looks for a fresh one finds it before the rest is read.
    """
    query = select(*_COLUMNS).order_by(message.c.id.desc()).limit(_PAGE)
    if name is not None:
        query = query.where(message.c.name == name)
    page = [Enqueued(*row) for row in connection.execute(query)]
    while page:
        yield from page
        if len(page) < _PAGE:
            return
        page = [Enqueued(*row) for row in connection.execute(query.where(message.c.id < page[-1].id))]


def owner(connection: Connection, destination: str, key: str) -> UUID | None:
    """The message that owns a `dedup_key`; None where nobody does."""
    of_key = (dedup.c.destination == destination, dedup.c.key == key)
    return connection.execute(select(dedup.c.message_id).where(*of_key)).scalar()
