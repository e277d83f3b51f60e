"""The plain INSERT as the driver takes it: compiled once for each engine, then handed over without a detour.

`Connection.execute` looks a statement up, arranges and converts its parameters and prepares a result on each call. Ours never
change, so that their text and order are kept. The driver is given the same text and the same values as by
`Connection.execute`, and `before_cursor_execute`, which logging and tracing listen to, is fired as there.

Where an application has asked SQLAlchemy to show it statements, or to rewrite them, they go the long way: see `is_plain`.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeDecorator

from outbox.schema import message

INSERT = message.insert()
"""Also the clause by which a session with several binds finds the outbox's one."""

_Convert: TypeAlias = Callable[[Any, Dialect], Any]
_Row: TypeAlias = dict[str, Any]

_CONVERT: dict[str, _Convert] = {
    column.name: column.type.process_bind_param
    for column in message.c
    if isinstance(column.type, TypeDecorator)
    and type(column.type).process_bind_param is not TypeDecorator.process_bind_param
}
"""What our own column types make of a value. No type of SQLAlchemy's beneath them, and none of the other columns', has
anything to add: a test compares what the driver is given with what `Connection.execute` gives it."""


class _Prepared(NamedTuple):
    """The INSERT of rows with certain columns. It holds no dialect: that is the key under which it is kept weakly."""

    text: str
    converted: tuple[tuple[str, _Convert], ...]
    arrange: Callable[[_Row], Any]
    """A row in the driver's style of parameters."""

    def values(self, row: _Row, dialect: Dialect) -> Any:
        """One row's parameters."""
        taken = row.copy()
        for column, convert in self.converted:
            taken[column] = convert(row[column], dialect)
        return self.arrange(taken)


_prepared: WeakKeyDictionary[Dialect, dict[tuple[str, ...], _Prepared]] = WeakKeyDictionary()


def is_plain(connection: Connection) -> bool:
    """Whether the application wants neither to see statements before they are text nor to have them rewritten."""
    listen = connection.dispatch
    if listen.before_execute or listen.after_execute:
        return False
    return "schema_translate_map" not in connection.get_execution_options()


def execute_one(connection: Connection, row: _Row) -> None:
    """Insert a row."""
    dialect = connection.dialect
    prepared = _for(dialect, row)
    connection.exec_driver_sql(prepared.text, prepared.values(row, dialect))


def execute_many(connection: Connection, rows: list[_Row]) -> None:
    """Insert rows that have the same columns, by the driver's `executemany`."""
    dialect = connection.dialect
    prepared = _for(dialect, rows[0])
    taken = [row.copy() for row in rows]
    for column, convert in prepared.converted:
        for row in taken:
            row[column] = convert(row[column], dialect)
    connection.exec_driver_sql(prepared.text, list(map(prepared.arrange, taken)))


def _for(dialect: Dialect, row: _Row) -> _Prepared:
    known = _prepared.get(dialect)
    if known is None:
        known = _prepared.setdefault(dialect, {})
    columns = tuple(row)
    found = known.get(columns)
    if found is None:
        found = known[columns] = _prepare(dialect, columns)
    return found


def _prepare(dialect: Dialect, columns: tuple[str, ...]) -> _Prepared:
    # Inline: no default's value is to come back, so that there is no RETURNING on any database.
    compiled = INSERT.inline().compile(dialect=dialect, column_keys=list(columns))
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 - for the type checker: no other one compiles an INSERT
    arrange = itemgetter(*compiled.positiontup) if compiled.positiontup else dict
    return _Prepared(str(compiled), tuple((each, _CONVERT[each]) for each in columns if each in _CONVERT), arrange)
