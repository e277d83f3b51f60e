"""Settle: write what became of claimed messages, fenced by the claim's token, and say which writes landed."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Insert, Select, Update, bindparam, insert, null, select, update
from sqlalchemy.exc import DataError

from outbox.clock import lease_clock
from outbox.message import Attempt, Delivered, Failed, Message, Outcome, Retry
from outbox.schema import attempt, message, utc_after, utc_now
from outbox.store.statements import IS_HELD, IS_MINE, id_among, lock_held, text_id

Settlement = tuple[Message, Outcome]

UNRECORDABLE = "the error's text could not be recorded"


@dataclass(frozen=True, slots=True)
class Settled:
    """Which writes did not land. All others did."""

    lost: Sequence[Settlement] = ()
    """The lease was lost: another worker holds the message or has settled it. Nothing was changed."""
    locked: Sequence[Settlement] = ()
    """Another transaction has locked the row: settle it again with the next group."""


def settle(connection: Connection, outcomes: Sequence[Settlement]) -> Settled:
    """Write a group of outcomes in the connection's transaction. Safe to repeat after an ambiguous COMMIT."""
    delivered: dict[tuple[UUID, int | None], list[Settlement]] = defaultdict(list)
    others: dict[UUID, list[Settlement]] = defaultdict(list)
    for settlement in outcomes:
        held, outcome = settlement[0].claim, settlement[1]
        if isinstance(outcome, Delivered):
            delivered[held.token, outcome.status].append(settlement)
        else:
            others[held.token].append(settlement)
    lost: list[Settlement] = []
    locked: list[Settlement] = []
    for (token, status), group in delivered.items():
        _settle_delivered(connection, token, status, group, (lost, locked))
    for token, group in others.items():
        _settle_others(connection, token, group, (lost, locked))
    return Settled(lost, locked)


Missed = tuple[list[Settlement], list[Settlement]]


def _settle_delivered(
    connection: Connection, token: UUID, status: int | None, group: Sequence[Settlement], missed: Missed
) -> None:
    ids = [settlement[0].id for settlement in group]
    values = {"ids": ids, "token": token, "status": status}
    if connection.dialect.name == "mysql":
        values["ids"] = lock_held(connection, token, ids)
    if not values["ids"] or connection.execute(_deliver(connection.dialect.name), values).rowcount != len(ids):
        _sort_out(connection, token, group, missed)


def _settle_others(connection: Connection, token: UUID, group: Sequence[Settlement], missed: Missed) -> None:
    """Lock first, so that the rows, their attempts and the fence agree."""
    ids = [settlement[0].id for settlement in group]
    held = set(lock_held(connection, token, ids))
    mine = [settlement for settlement in group if settlement[0].id in held]
    if len(mine) != len(group):
        _sort_out(connection, token, [each for each in group if each[0].id not in held], missed)
    write_retries(connection, [(each, outcome) for each, outcome in mine if isinstance(outcome, Retry)])
    write_failed(connection, [(each, outcome) for each, outcome in mine if isinstance(outcome, Failed)])


def _sort_out(connection: Connection, token: UUID, group: Sequence[Settlement], missed: Missed) -> None:
    """Tell apart, after a short count: landed before (a repeated COMMIT), locked by another, lost."""
    lost, locked = missed
    ids = [settlement[0].id for settlement in group]
    rows = connection.execute(_look(connection.dialect.name), {"ids": ids, "token": token}).all()
    still_held = {row.id for row in rows if row.held}
    landed = {row.id for row in rows if not row.held}
    for settlement in group:
        if settlement[0].id in still_held:
            locked.append(settlement)
        elif settlement[0].id not in landed:
            lost.append(settlement)


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


_SETTLED: dict[str, Any] = {"claimed_until": null(), "lost": 0}


@functools.cache
def _deliver(dialect_name: str) -> Update:
    values = _SETTLED | {
        "state": "delivered",
        "settled_at": utc_now(),
        "last_status": bindparam("status"),
        "last_error": null(),
    }
    where: Iterable[Any] = (id_among(dialect_name), *IS_MINE)
    if dialect_name == "postgresql":
        # A plain UPDATE would wait for as long as anybody holds one of the rows. On MariaDB, where UPDATE
        # takes no such subquery, `lock_held` goes before; SQLite has no row locks.
        held = select(message.c.id).where(*where).with_for_update(skip_locked=True).cte("held")
        where = (message.c.id == held.c.id,)
    return update(message).where(*where).values(values)


@functools.cache
def _look(dialect_name: str) -> Select[str, bool]:
    return select(text_id(dialect_name), IS_HELD.label("held")).where(
        id_among(dialect_name), message.c.claim_token == bindparam("token")
    )


@functools.cache
def _reschedule() -> Update:
    return _update_row(
        due_at=utc_after(bindparam("delay")),
        attempts=message.c.attempts + bindparam("charge"),
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
    return update(message).where(message.c.id == bindparam("row")).values(_SETTLED | recorded | values)


@functools.cache
def _log() -> Insert:
    return insert(attempt).values(started_at=utc_after(bindparam("age")))
