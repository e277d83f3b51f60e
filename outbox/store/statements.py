"""Pieces that several statements share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, any_, bindparam, literal_column, or_
from sqlalchemy.dialects import postgresql

from outbox.schema import message, utc_now

# Literals, not parameters: a partial index serves only a predicate that the planner can read.
IS_PENDING: ColumnElement[bool] = message.c.state == literal_column("'pending'")
IS_UNKEYED: ColumnElement[bool] = message.c.ordering_key.is_(None)
IS_DUE: ColumnElement[bool] = message.c.due_at <= utc_now()
IS_FREE: ColumnElement[bool] = or_(message.c.claimed_until.is_(None), message.c.claimed_until <= utc_now())

IS_HELD: ColumnElement[bool] = message.c.claimed_until.is_not(None)
"""A claim that is not settled yet. With the token it is the fence of every later write."""


def id_among(dialect_name: str) -> ColumnElement[bool]:
    """`id` is one of the ids bound as `ids`.

    One array on PostgreSQL: a parameter for each id costs client and server more than the update itself.
    """
    if dialect_name == "postgresql":
        ids: BindParameter[Any] = bindparam("ids", type_=postgresql.ARRAY(postgresql.UUID(as_uuid=True)))
        return message.c.id == any_(ids)
    return message.c.id.in_(bindparam("ids", expanding=True))
