"""Wake workers that listen: PostgreSQL's NOTIFY, in the application's transaction, so that it comes with the COMMIT.

The COMMIT of a transaction that notifies holds a lock of which the server has one: all such commits come one after the other,
each with its flush to the disk. So a process notifies only at the beginning of a burst. What follows within the next tenth
of a second is found by the worker that was woken: having found something it looks often. What is missed, because that
transaction rolled back or committed later than those behind it, is found by polling.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Dialect, TextClause, text
from sqlalchemy.engine import TwoPhaseTransaction

from outbox.schema import CHANNEL

QUIET_SECONDS = 0.1
"""How long a process must have enqueued nothing in a database before it notifies again."""

_last: WeakKeyDictionary[Dialect, float] = WeakKeyDictionary()
"""When something was enqueued last, by the dialect: each engine has one. A fork may copy it: it is a time, no more."""


def wake(connection: Connection) -> None:
    """Tell the workers that the connection's transaction brings messages, if it begins a burst."""
    dialect = connection.dialect
    if dialect.name != "postgresql":
        return
    now = time.monotonic()
    last, _last[dialect] = _last.get(dialect), now
    if (last is None or now - last >= QUIET_SECONDS) and not _is_prepared(connection):
        connection.execute(_notify())


def _is_prepared(connection: Connection) -> bool:
    """Whether it is committed in two phases: PostgreSQL prepares no transaction that has notified."""
    transaction: Any = connection.get_transaction()
    return isinstance(transaction, TwoPhaseTransaction)


@cache
def _notify() -> TextClause:
    return text(f"NOTIFY {CHANNEL}")
