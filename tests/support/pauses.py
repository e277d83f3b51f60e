"""Pauses for tests: a destination's row, and time that goes by without anybody waiting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import Table, select, update

from outbox.message import Cause
from outbox.schema import FOREVER, attempt, destination
from outbox.schema.types import UtcDateTime
from outbox.store import Gate, Store
from outbox.store.pauses import operator_pause
from outbox.store.transactions import Transactions
from support.databases import Database

NAME = "overcentric"
TIMES: dict[str, float] = {"first": 2.0, "longest": 60.0}


@contextmanager
def a_store(database: Database, *, blocks: bool = False) -> Iterator[Store]:
    """Give a worker's store."""
    with closing(Store(database.engine, blocks=blocks)) as store:
        yield store


def fail(store: Store, *, by: str = "worker 1", failing_for: float = 5.0, **times: float) -> Gate:
    """Let a worker's breaker pause the destination."""
    values = TIMES | times
    return store.pause(NAME, Cause.FAILING, "HTTP 500", by, seconds=None, failing_for=failing_for, **values)


def wish(store: Store, seconds: float, *, by: str = "worker 1") -> Gate:
    """Let the destination ask a worker for a pause."""
    return store.pause(NAME, Cause.RETRY_AFTER, "HTTP 429", by, seconds=seconds, **TIMES)


def operate(database: Database, seconds: float | None = None) -> Gate:
    """Let an operator pause the destination."""
    with closing(Transactions(database.engine)) as transactions:
        return transactions.run(operator_pause, NAME, "maintenance", "anna@ops", seconds=seconds).gate()


def row(database: Database) -> Any:
    """Give the destination's row."""
    with database.engine.connect() as connection:
        return connection.execute(select(destination).where(destination.c.name == NAME)).one()


def passes(database: Database, seconds: float) -> None:
    """Let so many seconds go by: all that is written of destinations and attempts was so much earlier."""
    with database.engine.begin() as connection:
        for table, key in ((destination, "name"), (attempt, "id")):
            for found in connection.execute(select(table)).all():
                earlier = _earlier(table, found, timedelta(seconds=seconds))
                if earlier:
                    connection.execute(update(table).where(table.c[key] == getattr(found, key)).values(earlier))


def _earlier(table: Table, found: Any, seconds: timedelta) -> dict[str, Any]:
    moments = {column.name: getattr(found, column.name) for column in table.c if isinstance(column.type, UtcDateTime)}
    return {name: moment - seconds for name, moment in moments.items() if moment is not None and moment < FOREVER}
