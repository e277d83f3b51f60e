"""Ids on the command line: whole, or an unambiguous beginning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from outbox.errors import MessageNotFound, OutboxError

if TYPE_CHECKING:
    from outbox.store.engine import Engine
    from outbox.store.look import IdPrefix

# The first 48 bits of a UUIDv7 are milliseconds (RFC 9562, 5.7): 32 of them count periods of 65.5 s, all of them one.
_ENOUGH = "Eight digits are alike for about a minute; 13 characters, such as 0199f0c2-7a5e, for a millisecond"


class IdType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """An id, or the beginning of one."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> IdPrefix:
        """Read it, or say what an id looks like."""
        from outbox.store.look import IdPrefix

        try:
            return IdPrefix.parse(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}. {_ENOUGH}", param, ctx)


def the_one(prefix: IdPrefix, found: list[UUID]) -> UUID:
    """The only id that begins so. Raises `MessageNotFound`; several are a usage error that names some."""
    if not found:
        msg = f"No message has the id {prefix.text}"
        raise MessageNotFound(msg, hint="`outbox list` shows the ids that there are.")
    if len(found) > 1:
        msg = f"Several ids begin with {prefix.text}: {', '.join(map(str, found))}. {_ENOUGH}"
        raise click.UsageError(msg)
    return found[0]


def the_ones(engine: Engine, wanted: Iterable[IdPrefix]) -> tuple[list[UUID], list[OutboxError]]:
    """The ids, each once, and an error for each that is unknown; an ambiguous one stops everything."""
    from outbox.store.look import matching_ids

    with engine.connect() as connection:
        matches = [(each, matching_ids(connection, each)) for each in wanted]
    ids: dict[UUID, None] = {}
    errors: list[OutboxError] = []
    for prefix, found in matches:
        try:
            ids[the_one(prefix, found)] = None
        except MessageNotFound as error:
            errors.append(error)
    return list(ids), errors


def complain(errors: Iterable[OutboxError]) -> int:
    """Say what could not be done, and give the exit code: that of the worst."""
    from outbox.render import line

    worst = 0
    for error in errors:
        line(f"outbox: {error}", err=True)
        worst = max(worst, error.exit_code)
    return worst
