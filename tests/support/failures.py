"""Many failed messages at once, and what became of them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select

from outbox.producer.ids import uuid7s
from outbox.schema import message
from support.databases import Database
from support.events import body

CAUSES = {"HTTP 400 Bad Request": 3000, "HTTP 503 Service Unavailable": 5000, "connection reset": 2000}
"""Ten thousand failed messages, by their last error."""

BODY = json.dumps(body("stripe_webhook"))


def fail_many(database: Database, causes: dict[str, int], **values: Any) -> dict[str, list[UUID]]:
    """Add messages that failed a minute ago, causes mixed; give their ids by cause, ascending."""
    errors = [error for place in range(max(causes.values())) for error, count in causes.items() if place < count]
    moment = datetime.now(UTC) - timedelta(minutes=1)
    row: dict[str, Any] = {
        "destination": "overcentric",
        "name": "$subscription_purchase",
        "body": BODY,
        "state": "failed",
    }
    row |= dict.fromkeys(("due_at", "created_at", "occurred_at", "settled_at"), moment)
    row |= {"failure_reason": "rejected", "attempts": 3} | values
    added = [row | {"id": made, "last_error": error} for made, error in zip(uuid7s(len(errors)), errors, strict=True)]
    with database.engine.begin() as connection:
        connection.execute(insert(message), added)
    return {error: [each["id"] for each in added if each["last_error"] == error] for error in causes}


def by_error(database: Database, state: str) -> Counter[str]:
    """How many messages of a state have which last error."""
    query = select(message.c.last_error, func.count()).where(message.c.state == state).group_by(message.c.last_error)
    with database.engine.connect() as connection:
        return Counter({row[0]: row[1] for row in connection.execute(query)})
