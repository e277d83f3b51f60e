"""One connection, kept open, and its short transactions: what a worker's store thread works on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from outbox.store.engine import BARE, write_transaction
from outbox.store.trouble import is_repeatable

_REPEATS = 5

# SQLite has one write lock, and no queue for it: who asks often wins. An application that waits for it looks seldom, up to
# 0.1 s apart. Two workers in a backlog left it so little that it met "database is locked" after 5 s (measured).
_REST = 3.0
"""Times as long as it waited for the lock and held it, while others write, too."""
_LONGEST_REST = 0.25

P = ParamSpec("P")
R = TypeVar("R")


class Transactions:
    """A connection of the worker's and the transactions on it. Not safe for threads: all of its work is done by one.

    Kept open between transactions: checking one out of the pool and resetting it costs round trips.
    """

    def __init__(self, engine: Engine, *, writes: bool = True) -> None:
        self._engine = engine
        self._writes = writes
        self._connection: Connection | None = None
        self._rests = writes and engine.dialect.name == "sqlite"
        self._rest_until = 0.0
        self._version: int | None = None

    def run(self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `work` in a transaction; again when the database asks for it (deadlock, lock timeout).

        A COMMIT that raised may have committed: what runs here must bear to be run twice.
        """
        return self._run(lambda connection: work(connection, *args, **kwargs), bare=False)

    def look(self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `work`, which is one SELECT, and spare the server the transaction around it where that can be."""
        return self._run(lambda connection: work(connection, *args, **kwargs), bare=True)

    def _run(self, work: Callable[[Connection], R], *, bare: bool) -> R:
        for _ in range(_REPEATS - 1):
            try:
                with self._transaction(bare=bare) as connection:
                    return work(connection)
            except DBAPIError as error:
                if not is_repeatable(error):
                    raise
        with self._transaction(bare=bare) as connection:
            return work(connection)

    def close(self) -> None:
        """Give the connection back; the next transaction opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _transaction(self, *, bare: bool) -> Iterator[Connection]:
        connection = self._connect()
        began = self._rest()
        try:
            connection.info[BARE] = bare
            with connection.begin():
                connection.info[BARE] = False
                is_shared = self._rests and self._others_wrote(connection)
                yield connection
        except BaseException:
            # Whatever went wrong, the connection may be broken or hold a half-done transaction.
            self.close()
            raise
        if is_shared:
            ended = time.monotonic()
            self._rest_until = ended + min((ended - began) * _REST, _LONGEST_REST)

    def _connect(self) -> Connection:
        if self._connection is None:
            connection = self._engine.connect()
            self._connection = write_transaction(connection) if self._writes else connection
        return self._connection

    def _rest(self) -> float:
        """Leave the write lock to others for longer than we had it; give the time after that."""
        if (rest := self._rest_until - time.monotonic()) > 0:
            time.sleep(rest)
        return time.monotonic()

    def _others_wrote(self, connection: Connection) -> bool:
        """Whether anybody else has written to the file since our last transaction."""
        before, self._version = self._version, connection.exec_driver_sql("PRAGMA data_version").scalar()
        return before is not None and before != self._version
