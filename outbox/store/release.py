"""Release: give back claims whose sending has not begun. Nothing is charged."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, Update, bindparam, null, update

from outbox.message import Message
from outbox.schema import message
from outbox.store.statements import IS_HELD, id_among


def release(connection: Connection, messages: Iterable[Message]) -> None:
    """Make messages claimable again. A lease that was lost meanwhile is no longer ours to give back."""
    by_token: dict[UUID, list[UUID]] = defaultdict(list)
    for each in messages:
        by_token[each.claim.token].append(each.id)
    for token, ids in by_token.items():
        connection.execute(_release(connection.dialect.name), {"ids": ids, "token": token})


@functools.cache
def _release(dialect_name: str) -> Update:
    return (
        update(message)
        .where(id_among(dialect_name), message.c.claim_token == bindparam("token"), IS_HELD)
        .values(claim_token=null(), claimed_until=null())
    )
