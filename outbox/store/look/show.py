"""One message with its body and its attempts."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select

from outbox.schema import attempt, message
from outbox.store.look.listing import SUMMARY_COLUMNS, Summary


class AttemptRecord(NamedTuple):
    """An attempt that did not deliver: the fields of `attempts_log` in `outbox show --json`."""

    attempt: int
    started_at: datetime
    duration_ms: int
    tries: int
    status: int | None
    certainty: str
    error: str
    response: str | None


class Details(NamedTuple):
    """What only `outbox show` tells of a message."""

    occurred_at: datetime
    ordering_key: str | None
    on_unknown: str
    lost: int
    claimed_until: datetime | None
    body: str


class Shown(NamedTuple):
    """All that is known of a message."""

    summary: Summary
    details: Details
    attempts_log: list[AttemptRecord]


_DETAIL_COLUMNS = tuple(message.c[name] for name in Details._fields)
_ATTEMPT_COLUMNS = tuple(attempt.c[name] for name in AttemptRecord._fields)
_SPLIT = len(SUMMARY_COLUMNS)


def shown(connection: Connection, message_id: UUID) -> Shown | None:
    """Read a message, or None where there is none."""
    query = select(*SUMMARY_COLUMNS, *_DETAIL_COLUMNS).where(message.c.id == message_id)
    log = select(*_ATTEMPT_COLUMNS).where(attempt.c.message_id == message_id).order_by(attempt.c.id)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    attempts = [AttemptRecord(*each) for each in connection.execute(log)]
    return Shown(Summary(*row[:_SPLIT]), Details(*row[_SPLIT:]), attempts)
