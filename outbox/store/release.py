"""Release: give back claims whose sending has not begun. Nothing is charged."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, Update, null, update

from outbox.message import Message
from outbox.schema import message
from outbox.store.statements import id_among, lock_held


def release(connection: Connection, messages: Iterable[Message]) -> None:
    """Make messages claimable again. A lease that was lost meanwhile is no longer ours to give back.

    Rows that somebody else has locked keep their claim until it expires: they must not hold up the others.
    """
    by_token: dict[UUID, list[str]] = defaultdict(list)
    for each in messages:
        by_token[each.claim.token].append(each.id)
    for token, ids in by_token.items():
        if held := lock_held(connection, token, ids):
            connection.execute(_release(connection.dialect.name), {"ids": held})


@functools.cache
def _release(dialect_name: str) -> Update:
    return update(message).where(id_among(dialect_name)).values(claim_token=null(), claimed_until=null())
