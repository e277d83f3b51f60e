"""Edit: messages with other bodies in the place of failed ones.

Other bytes are another message: it has an id of its own, so that no destination takes it for a repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from outbox.message import FailureReason
from outbox.schema import message, utc_now
from outbox.store.look import Filters
from outbox.store.statements import BY_ID, HAS_BODY, id_among, text_id


class Editable(NamedTuple):
    """A message's body, and what says whether an edited one can be sent."""

    id: str
    destination: str
    name: str
    body: str
    state: str
    failure_reason: str | None


class Edited(NamedTuple):
    """What is to take the place of a message."""

    old: str
    id: UUID
    name: str
    body: str


def read_bodies(connection: Connection, ids: Sequence[str]) -> list[Editable]:
    """Read what is to be edited, in the order of ids. Bodies never change: no lock is needed."""
    name = connection.dialect.name
    query = select(text_id(name), *(message.c[each] for each in Editable._fields[1:]))
    rows = connection.execute(query.where(id_among(name)).order_by(message.c.id), {"ids": ids})
    return [Editable(*row) for row in rows]


def replace(connection: Connection, filters: Filters, edited: Sequence[Edited]) -> list[str]:
    """Put edited messages, pending and due now, in the place of those that still match; give the ids of these.

    In one transaction the old one is discarded, and says what replaced it. The new one keeps when it was enqueued, and
    with it its place among those of its ordering key. A `dedup_key` stays with the old one: a repeat still creates nothing.
    """
    old = _lock(connection, filters, [each.old for each in edited])
    taken = [each for each in edited if each.old in old]
    if taken:
        connection.execute(_DISCARD, [_last_words(each) for each in taken])
        connection.execute(insert(message), [_row(each, old[each.old]) for each in taken])
    return [each.old for each in taken]


_KEPT = ("destination", "ordering_key", "on_unknown", "created_at", "occurred_at")

_DISCARD = (
    update(message)
    .where(message.c.id == bindparam("row"))
    .values(failure_reason=FailureReason.DISCARDED.value, last_error=bindparam("text"))
)


def _lock(connection: Connection, filters: Filters, ids: Sequence[str]) -> dict[str, Row[Any]]:
    name = connection.dialect.name
    query = (
        select(text_id(name), *(message.c[each] for each in _KEPT), utc_now().label("due_at"))
        .where(id_among(name), HAS_BODY, *filters.conditions(name))
        .order_by(message.c.id)
        .with_for_update()
        .with_hint(message, BY_ID, "mysql")
    )
    return {row.id: row for row in connection.execute(query, {"ids": ids})}


def _last_words(each: Edited) -> dict[str, Any]:
    return {"row": UUID(each.old), "text": f"edited: replaced by {each.id}"}


def _row(each: Edited, old: Row[Any]) -> dict[str, Any]:
    kept = {name: getattr(old, name) for name in (*_KEPT, "due_at")}
    return kept | {"id": each.id, "name": each.name, "body": each.body}
