"""One connection, kept open, and its short transactions: what a worker's store thread works on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from outbox.store.engine import write_transaction
from outbox.store.trouble import is_repeatable

_REPEATS = 5

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

    def run(self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `work` in a transaction; again when the database asks for it (deadlock, lock timeout).

        A COMMIT that raised may have committed: what runs here must bear to be run twice.
        """
        for _ in range(_REPEATS - 1):
            try:
                with self._transaction() as connection:
                    return work(connection, *args, **kwargs)
            except DBAPIError as error:
                if not is_repeatable(error):
                    raise
        with self._transaction() as connection:
            return work(connection, *args, **kwargs)

    def close(self) -> None:
        """Give the connection back; the next transaction opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        if self._connection is None:
            connection = self._engine.connect()
            self._connection = write_transaction(connection) if self._writes else connection
        try:
            with self._connection.begin():
                yield self._connection
        except BaseException:
            # Whatever went wrong, the connection may be broken or hold a half-done transaction.
            self.close()
            raise
