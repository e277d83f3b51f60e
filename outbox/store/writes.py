"""What a failure leaves behind: the changed row and its attempt's record, written for rows that are locked already."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Connection, Insert, Integer, Update, bindparam, case, insert, update
from sqlalchemy.exc import DataError

from outbox.clock import lease_clock
from outbox.message import Attempt, Failed, Message, Retry
from outbox.schema import attempt, message, utc_after, utc_now
from outbox.store.statements import SETTLED

UNRECORDABLE = "the error's text could not be recorded"


def write_retries(connection: Connection, retries: Sequence[tuple[Message, Retry]]) -> None:
    """Reschedule messages whose rows this transaction has locked, and log their attempts."""
    changes = [
        _change(each, outcome.attempt) | {"delay": outcome.delay, "charge": int(outcome.charged)}
        for each, outcome in retries
    ]
    _write(connection, _reschedule(), changes, [_record(each, outcome.attempt) for each, outcome in retries])


def write_failed(connection: Connection, failures: Sequence[tuple[Message, Failed]]) -> None:
    """Give up messages whose rows this transaction has locked, and log their attempts."""
    changes = [_change(each, outcome.attempt) | {"why": outcome.reason.value} for each, outcome in failures]
    _write(connection, _fail(), changes, [_record(each, outcome.attempt) for each, outcome in failures])


Values = list[dict[str, Any]]


def _write(connection: Connection, statement: Update, changes: Values, records: Values) -> None:
    """Update the messages and log their attempts; a text that the database refuses must not stop either."""
    if not changes:
        return
    try:
        with connection.begin_nested():
            connection.execute(statement, changes)
            connection.execute(_log(), records)
    except (DataError, UnicodeError):
        connection.execute(statement, [each | {"text": UNRECORDABLE} for each in changes])
        connection.execute(_log(), [each | {"error": UNRECORDABLE, "response": None} for each in records])


def _change(each: Message, made: Attempt) -> dict[str, Any]:
    return {"row": UUID(each.id), "answer": made.status, "text": made.error}


def _record(each: Message, made: Attempt) -> dict[str, Any]:
    return {
        "message_id": UUID(each.id),
        "attempt": each.attempts + 1,
        "age": made.began - lease_clock(),
        "duration_ms": round(made.duration * 1000),
        "tries": made.tries,
        "status": made.status,
        "certainty": made.certainty.value,
        "error": made.error,
        "response": made.response,
    }


@functools.cache
def _reschedule() -> Update:
    """What is charged nothing keeps its time: it is due at once, and for how long it has been due is what people watch."""
    charge: BindParameter[int] = bindparam("charge", type_=Integer)
    return _update_row(
        due_at=case((charge == 0, message.c.due_at), else_=utc_after(bindparam("delay"))),
        attempts=message.c.attempts + charge,
    )


@functools.cache
def _fail() -> Update:
    return _update_row(
        state="failed",
        settled_at=utc_now(),
        attempts=message.c.attempts + 1,
        failure_reason=bindparam("why"),
    )


def _update_row(**values: Any) -> Update:
    recorded: dict[str, Any] = {"last_status": bindparam("answer"), "last_error": bindparam("text")}
    return update(message).where(message.c.id == bindparam("row")).values(SETTLED | recorded | values)


@functools.cache
def _log() -> Insert:
    return insert(attempt).values(started_at=utc_after(bindparam("age")))
