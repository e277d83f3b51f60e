"""Take: put a lease on rows that this transaction has locked, and give up those that lost too many workers."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, Update, and_, bindparam, case, or_, select, update

from outbox.clock import lease_clock
from outbox.message import Claim, Message
from outbox.schema import message, utc_after
from outbox.store.evidence import Chosen, last_words
from outbox.store.statements import BY_ID, IS_DUE, IS_FREE, IS_HELD, IS_PENDING, IS_UNKEYED, id_among, text_id
from outbox.store.writes import write_failed

NEEDED = (message.c.name, message.c.body, message.c.attempts, message.c.on_unknown, ~IS_UNKEYED)
"""What sending needs, behind the id, in the order of `Message`."""

# A claim that is repeated because the answer to its COMMIT was lost finds its own rows, and is no evidence.
_IS_OWN = message.c.claim_token == bindparam("token")
_IS_LOST = and_(IS_HELD, ~_IS_OWN)


def take(connection: Connection, destination: str, chosen: Chosen, held: Claim, lease: float) -> list[Message]:
    """Lease the rows that were chosen, for `lease` seconds from now, and fail the doomed ones."""
    if ids := [row.id for row in (*chosen.taken, *chosen.doomed)]:
        connection.execute(_lease(connection.dialect.name), {"ids": ids, "token": held.token, "lease": lease})
    now = lease_clock()
    write_failed(connection, [(_claimed(row, destination, held), last_words(row, now)) for row in chosen.doomed])
    return [_claimed(row, destination, held) for row in chosen.taken]


def lock_among(connection: Connection, ids: Sequence[str], held: Claim) -> list[Row[Any]]:
    """Lock those of the messages that can be claimed and that nobody else has locked; give them in the order asked."""
    if not ids:
        return []
    rows = connection.execute(_lock(connection.dialect.name), {"ids": ids, "token": held.token})
    found = {row.id: row for row in rows}
    return [found[each] for each in ids if each in found]


def _claimed(row: Row[Any], destination: str, held: Claim) -> Message:
    return Message._make((*row[:6], destination, held))


@functools.cache
def _lock(dialect_name: str) -> Select[Any]:
    return (
        select(text_id(dialect_name), *NEEDED, message.c.lost, _IS_LOST.label("expired"))
        .where(id_among(dialect_name), IS_PENDING, IS_DUE, or_(IS_FREE, _IS_OWN))
        .with_for_update(skip_locked=True)
        .with_hint(message, BY_ID, "mysql")
    )


@functools.cache
def _lease(dialect_name: str) -> Update:
    # `lost` comes first: MySQL evaluates SET from left to right, on values already changed.
    return (
        update(message)
        .where(id_among(dialect_name))
        .ordered_values(
            (message.c.lost, message.c.lost + case((_IS_LOST, 1), else_=0)),
            (message.c.claim_token, bindparam("token")),
            (message.c.claimed_until, utc_after(bindparam("lease"))),
        )
    )
