"""For an application whose own alembic migrations live in the same database: keep the outbox's tables out of them.

In the application's `env.py`::

    from outbox.alembic import include_name

    context.configure(..., include_name=include_name)

Without it `alembic revision --autogenerate` finds tables that the application's models do not have, and writes
`op.drop_table("outbox_message")`. An application with a filter of its own calls both::

    def include(name, type_, parent_names):
        return include_name(name, type_, parent_names) and mine(name, type_, parent_names)

The outbox's own migrations (`outbox db upgrade`) keep their version in `outbox_alembic_version` and touch nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outbox.schema import VERSION_TABLE, metadata

__all__ = ["include_name", "include_object"]

_OURS = frozenset(metadata.tables) | {VERSION_TABLE}


def include_name(name: str | None, type_: str, parent_names: Mapping[str, str | None]) -> bool:  # noqa: ARG001 - alembic calls it so
    """Say no to the outbox's tables, before alembic reflects them: for `context.configure(include_name=…)`."""
    return not (type_ == "table" and name in _OURS)


def include_object(
    object: Any,  # noqa: A002, ARG001 - alembic calls it so
    name: str | None,
    type_: str,
    reflected: bool,  # noqa: FBT001 - alembic hands it over by position
    compare_to: Any,
) -> bool:
    """Say no to the outbox's tables where only the database has them: for `context.configure(include_object=…)`.

    `include_name` is the cheaper of the two. This one serves an `env.py` that has an `include_object` already.
    """
    return not (type_ == "table" and reflected and compare_to is None and name in _OURS)
