"""Which messages are meant: one value, for looking at them and for what is done to many at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self, TypeAlias

from sqlalchemy import ColumnElement, func, literal_column

from outbox.message import FailureReason, State
from outbox.schema import message, utc_after

Moment: TypeAlias = datetime | timedelta
"""A point in time: itself, or how long ago by the database's clock."""

NO_ANSWER = range(0)
"""`Filters.status` of messages whose last attempt drew no HTTP status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Messages for which everything given holds. `conditions` makes it SQL, for any statement on `outbox_message`."""

    state: State | None = None
    destination: str | None = None
    name: str | None = None
    """The event's name as it is written; each `*` stands for any text."""
    since: Moment | None = None
    """Created then or later."""
    until: Moment | None = None
    """Created before."""
    error: str | None = None
    """Part of the last error. ASCII letters match in either case, on every database."""
    status: range | None = None
    """Last HTTP statuses, or `NO_ANSWER`."""
    failure_reason: FailureReason | None = None
    failed_before: Moment | None = None
    undiscarded: bool = False
    """Only failed messages that no operator has discarded."""
    keyed: bool | None = None
    """Whether they have an ordering key."""

    def bounded(self, now: datetime) -> Self:
        """The same messages for good: ages are moments, and none that fails, or is enqueued, later than `now` joins them."""
        behind = now + _TICK
        fixed = replace(self, since=_fixed(self.since, now), until=_fixed(self.until, now))
        if self.state is State.PENDING:
            return replace(fixed, until=_earlier(fixed.until, behind))
        return replace(fixed, failed_before=_earlier(_fixed(self.failed_before, now), behind))

    def conditions(self, dialect_name: str) -> list[ColumnElement[bool]]:
        """The conditions in the database's dialect."""
        columns = message.c
        found = []
        if self.state is not None:
            # A literal: a partial index serves only a predicate that the planner can read.
            found.append(columns.state == literal_column(f"'{self.state.value}'"))
        if self.destination is not None:
            found.append(columns.destination == self.destination)
        if self.name is not None:
            found.append(_named(self.name, dialect_name))
        if self.since is not None:
            found.append(columns.created_at >= _moment(self.since))
        if self.until is not None:
            found.append(columns.created_at < _moment(self.until))
        if self.error is not None:
            found.append(_CONTAINS[dialect_name](columns.last_error, self.error))
        if self.status is not None:
            found.append(_answered(self.status))
        return [*found, *self._of_failures()]

    def _of_failures(self) -> Iterator[ColumnElement[bool]]:
        columns = message.c
        if self.failure_reason is not None:
            yield columns.failure_reason == self.failure_reason.value
        if self.failed_before is not None:
            yield columns.failure_reason.is_not(None)
            yield columns.settled_at < _moment(self.failed_before)
        if self.undiscarded:
            yield columns.failure_reason != FailureReason.DISCARDED.value
        if self.keyed is not None:
            yield columns.ordering_key.is_not(None) if self.keyed else columns.ordering_key.is_(None)


_TICK = timedelta(microseconds=1)
"""The least difference that a column of ours can hold: before a moment and a tick is at the moment, or before."""


def _fixed(moment: Moment | None, now: datetime) -> datetime | None:
    return now - moment if isinstance(moment, timedelta) else moment


def _earlier(one: Moment | None, other: datetime) -> Moment:
    return min(one, other) if isinstance(one, datetime) else other


def _moment(moment: Moment) -> Any:
    return utc_after(-moment.total_seconds()) if isinstance(moment, timedelta) else moment


def _answered(status: range) -> ColumnElement[bool]:
    if not status:
        return message.c.last_status.is_(None)
    return message.c.last_status.between(status.start, status.stop - 1)


def _named(name: str, dialect_name: str) -> ColumnElement[bool]:
    if "*" not in name:
        return message.c.name == name
    if dialect_name == "sqlite":
        # LIKE takes "A" for "a" there; GLOB does not.
        return message.c.name.op("GLOB")(re.sub(r"[?\[]", r"[\g<0>]", name))
    return message.c.name.like("%".join(map(_literal, name.split("*"))), escape="!")


def _literal(text: str) -> str:
    """The text as LIKE with `ESCAPE '!'` takes it for itself."""
    return re.sub("[!%_]", r"!\g<0>", text)


def _contains_like(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """SQLite's LIKE ignores the case of ASCII letters, and of no other."""
    return column.like(f"%{_literal(text)}%", escape="!")


def _contains_lower(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """In the "C" collation `lower` knows ASCII only."""
    return func.lower(column.collate("C")).like(f"%{_literal(_ascii_lower(text))}%", escape="!")


def _contains_regexp(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """MariaDB's `lower` knows all letters; a class of two for each ASCII letter is exact."""
    return column.regexp_match("".join(map(_either_case, text)))


def _either_case(character: str) -> str:
    if not character.isascii() or character.isdigit():
        return character
    return f"[{character.lower()}{character.upper()}]" if character.isalpha() else f"\\{character}"


def _ascii_lower(text: str) -> str:
    return re.sub("[A-Z]+", lambda found: found[0].lower(), text)


_CONTAINS: dict[str, Callable[[ColumnElement[Any], str], ColumnElement[bool]]] = {
    "sqlite": _contains_like,
    "postgresql": _contains_lower,
    "mysql": _contains_regexp,
}
