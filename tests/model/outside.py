"""Everybody but the workers: producers, operators, and whoever else locks a row."""

from __future__ import annotations

from collections.abc import Iterator

from model.claiming import committed_before
from model.rows import FREE, Row, Rows, State, change, older, retried
from model.scope import Fault, Guard, Scope
from model.steps import NOBODY, Step, names
from model.workers import bits


def events(scope: Scope, rows: Rows, locked: int) -> Iterator[Step]:
    """What producers, operators and others can do. `locked` are the rows that workers have locked."""
    for message, row in enumerate(rows):
        for says, after, fault in _of_row(scope, row, locked=bool(locked >> message & 1)):
            taken = bits([message]) if fault == Fault.RETRY else 0
            yield Step(f"{says} {names([message])}", change(rows, message, after), NOBODY, taken, fault)
    yield from _enqueues(scope, rows)


def _of_row(scope: Scope, row: Row, *, locked: bool) -> Iterator[tuple[str, Row, Fault | None]]:
    if row.state == State.OPEN:
        yield "the producer commits", row._replace(state=State.PENDING), None
        yield "the producer rolls back", rolled_back(row), Fault.ROLLBACK
    if row.locked:
        yield "somebody unlocks", row._replace(locked=False), None
    elif not locked:
        if row.state == State.PENDING and row.lease != FREE:
            yield "somebody locks", row._replace(locked=True), Fault.LOCK
        if row.state == State.FAILED or (row.state == State.DELIVERED and not scope.has(Guard.RETRY_FAILED)):
            yield "an operator retries", retried(row), Fault.RETRY


def rolled_back(row: Row) -> Row:
    """The row of a producer whose transaction is no more."""
    return row._replace(state=State.ROLLED_BACK, due=True, lost=0, lease=FREE, before=0)


def _enqueues(scope: Scope, rows: Rows) -> Iterator[Step]:
    """The next message is enqueued: they are created in the order of their places."""
    for message, row in enumerate(rows):
        if row.state == State.ABSENT:
            new = row._replace(state=State.OPEN, before=bits(committed_before(scope, rows, message)))
            yield Step(f"a producer enqueues {names([message])}", change(rows, message, new), NOBODY)
            return


def restarted(rows: Rows) -> Rows:
    """The rows after the database has restarted: producers' open transactions are rolled back."""
    return tuple(rolled_back(row) if row.state == State.OPEN else row for row in rows)


def ticked(rows: Rows) -> Rows:
    """The rows a tick later."""
    return tuple(map(older, rows))
