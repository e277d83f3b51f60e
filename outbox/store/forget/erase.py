"""Erase what was found. The rows stay: an empty body, no key, no words of errors and answers."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, Update, bindparam, null, select, update

from outbox.event.identities import Identities
from outbox.message import FailureReason
from outbox.schema import attempt, message, utc_now
from outbox.store.forget.find import RecordTrace, holds, texts
from outbox.store.statements import IS_FREE, SETTLED, WIPED, id_among, text_id

ERASED = "erased"
"""Instead of an error's text, which a record must have."""

_DISCARDED = {"failure_reason": FailureReason.DISCARDED.value}
_FORGOTTEN: dict[str, Any] = {"body": WIPED, "ordering_key": null(), "last_error": null()}


def erase(connection: Connection, ids: Sequence[str]) -> list[tuple[str, str]]:
    """Erase messages that nobody holds, in the connection's transaction; give the id and the former state of each.

    What is not delivered ends as failed, `discarded`, and holds up nobody. One that a worker holds is not touched: the worker has
    the body, and is perhaps sending it. A claim that has expired cannot be settled any more when its token is gone.
    """
    name = connection.dialect.name
    rows = connection.execute(_lock(name), {"ids": ids}).all()
    for state, statement in (("pending", _discard), ("failed", _give_up), ("delivered", _wipe)):
        if of_state := [row.id for row in rows if row.state == state]:
            connection.execute(statement(name), {"ids": of_state})
    if rows:
        # After the messages, which a settle, too, locks before it records an attempt.
        connection.execute(_erase_attempts(name), {"ids": [row.id for row in rows]})
    return [(row.id, row.state) for row in rows]


def still_there(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Those of the messages that have not been purged meanwhile."""
    return list(connection.execute(_present(connection.dialect.name), {"ids": ids}).scalars())


def erase_records(connection: Connection, who: Identities, records: Sequence[RecordTrace]) -> None:
    """Erase the words of attempts at other people's messages, and where such a message repeats them, there, too."""
    name, count = connection.dialect.name, len(who.spellings)
    owners = sorted({str(each.message_id) for each in records})
    connection.execute(_erase_last_errors(name, count), {"ids": owners} | texts(who))
    connection.execute(_ERASE_RECORDS, {"records": [each.id for each in records]})


@functools.cache
def _lock(dialect_name: str) -> Select[Any]:
    return (
        select(text_id(dialect_name), message.c.state)
        .where(id_among(dialect_name), IS_FREE)
        .with_for_update(skip_locked=True)
        .with_hint(message, "FORCE INDEX (PRIMARY)", "mysql")
    )


@functools.cache
def _present(dialect_name: str) -> Select[str]:
    return select(text_id(dialect_name)).where(id_among(dialect_name))


@functools.cache
def _wipe(dialect_name: str) -> Update:
    return update(message).where(id_among(dialect_name)).values(_FORGOTTEN)


@functools.cache
def _give_up(dialect_name: str) -> Update:
    return update(message).where(id_among(dialect_name)).values(_FORGOTTEN | _DISCARDED)


@functools.cache
def _discard(dialect_name: str) -> Update:
    values = {"state": "failed", "settled_at": utc_now(), "claim_token": null()}
    return update(message).where(id_among(dialect_name)).values(SETTLED | _FORGOTTEN | _DISCARDED | values)


@functools.cache
def _erase_attempts(dialect_name: str) -> Update:
    is_of_them = id_among(dialect_name, attempt.c.message_id)
    return update(attempt).where(is_of_them).values(error=ERASED, response=null())


@functools.cache
def _erase_last_errors(dialect_name: str, count: int) -> Update:
    is_told = holds(dialect_name, message.c.last_error, count)
    return update(message).where(id_among(dialect_name), is_told).values(last_error=null())


_IS_AMONG = attempt.c.id.in_(bindparam("records", expanding=True))
_ERASE_RECORDS = update(attempt).where(_IS_AMONG).values(error=ERASED, response=null())
