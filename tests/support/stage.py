"""A database for many short runs: its connections stay open, its tables are emptied between two runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import cycle
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Engine, create_engine, delete, event, func, insert, select, update

import outbox
from outbox.schema import FOREVER, attempt, dedup, destination, message, utc_after, utc_now
from outbox.store import Store
from outbox.store.engine import open_engine, write_transaction
from outbox.store.retry import Found, retry
from support.databases import Database

_RECORDS = select(func.count()).where(attempt.c.message_id == message.c.id).scalar_subquery()

_NOW = select(utc_now())
_LOOK = select(
    *(column for column in message.c if column.name not in {"body", "occurred_at", "last_status", "last_error"}),
    message.c.claimed_until.is_not(None).label("held"),
    (message.c.claimed_until <= utc_now()).label("expired"),
    _RECORDS.label("records"),
)


class Facts(NamedTuple):
    """What can be told of a message without knowing times and tokens."""

    name: str
    destination: str
    key: str | None
    park: bool
    state: str
    attempts: int
    lost: int
    held: bool
    expired: bool
    reason: str | None
    records: int
    settled: bool


class Stage:
    """Whoever has to do with the database: two kinds of workers, applications, an operator, and rivals for locks."""

    def __init__(self, database: Database) -> None:
        self.kind = database.kind
        self._pauses = cycle(_PAUSES)
        self._engines: list[Engine] = []
        self.stores = {blocks: Store(self._engine(database.url), blocks=blocks) for blocks in (False, True)}
        self._beside = self._engine(database.url)
        self._eye = self._beside.connect()
        self._rivals = self._engine(database.url)
        self._applications = self._keep(create_engine(database.app_url(_DRIVERS[database.kind])))
        outbox.sqlite.configure(self._applications)

    def close(self) -> None:
        """Close all connections."""
        for store in self.stores.values():
            store.close()
        self._eye.close()
        for engine in self._engines:
            engine.dispose()

    @property
    def has_locks(self) -> bool:
        """Whether two transactions can write at the same time."""
        return self.kind != "sqlite"

    def clear(self) -> None:
        """Empty the tables. The same calls do the same afterwards."""
        self._pauses = cycle(_PAUSES)
        with self._writing() as connection:
            for table in (message, attempt, dedup, destination):
                connection.execute(delete(table))

    def look(self) -> tuple[dict[str, Any], datetime]:
        """Give every message that is committed, and the database's clock."""
        with self._eye.begin():
            rows = {str(row.id): row for row in self._eye.execute(_LOOK)}
            return rows, self._eye.execute(_NOW).scalar_one()

    def owners(self) -> dict[str, str]:
        """Give the owner of every `dedup_key` that is committed."""
        with self._eye.begin():
            return {row.key: str(row.message_id) for row in self._eye.execute(select(dedup))}

    def application(self) -> Connection:
        """Give a connection as an application has it."""
        return self._applications.connect()

    def rival(self) -> Connection:
        """Give a connection as another worker has it."""
        return write_transaction(self._rivals.connect())

    def retry(self, ids: Collection[str]) -> dict[str, Found]:
        """Let an operator send messages again."""
        with self._writing() as connection:
            return {str(each): state for each, state in retry(connection, map(UUID, ids)).items()}

    def expire(self, ids: Collection[str]) -> None:
        """Let the leases of these have ended a second ago."""
        self._set(ids, claimed_until=utc_after(-1))

    def hasten(self, ids: Collection[str]) -> None:
        """Let these have been due for as long as each other, and longer than any that was not put off."""
        self._set(ids, due_at=utc_after(-DUE_FOR))

    def pause(self, name: str, *, paused: bool) -> None:
        """Pause a destination, or go on. Each pause in turn is an operator's, or one that is over but not probed."""
        with self._writing() as connection:
            connection.execute(delete(destination).where(destination.c.name == name))
            values: dict[str, Any] = {"paused_until": utc_after(-1), "cause": "operator"}
            if paused:
                values |= next(self._pauses)
            connection.execute(insert(destination).values(name=name, **values))

    def _set(self, ids: Collection[str], **values: Any) -> None:
        # By their ids: a search would wait for rows that others have locked.
        if ids:
            with self._writing() as connection:
                connection.execute(update(message).where(message.c.id.in_(map(UUID, ids))).values(**values))

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._beside.connect() as connection, write_transaction(connection).begin():
            yield connection

    def _engine(self, url: str) -> Engine:
        return self._keep(open_engine(url))

    def _keep(self, engine: Engine) -> Engine:
        self._engines.append(engine)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _hurry)
        return engine


DUE_FOR = 7200.0
"""Seconds; longer than any run."""

_PAUSES: tuple[dict[str, Any], ...] = ({"paused_until": FOREVER}, {"cause": "failing"})

_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mariadb": "pymysql"}


def _hurry(connection: Any, _record: object) -> None:
    """Leave out the waits for the disk: nothing here depends on what a power cut leaves."""
    connection.execute("PRAGMA synchronous = OFF")


def facts(row: Any) -> Facts:
    """Tell what a message's row tells."""
    return Facts(
        row.name,
        row.destination,
        row.ordering_key,
        row.on_unknown == "park",
        row.state,
        row.attempts,
        row.lost,
        bool(row.held),
        bool(row.expired),
        row.failure_reason,
        row.records,
        row.settled_at is not None,
    )
