"""Settle: write what became of claimed messages, fenced by the claim's token, and say which writes landed."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Update, bindparam, null, select, update

from outbox.message import Delivered, Failed, Message, Outcome, Retry
from outbox.schema import message, utc_now
from outbox.store.statements import IS_HELD, IS_MINE, SETTLED, WIPED, id_among, lock_all_held, lock_held, text_id
from outbox.store.succession import Succession, succeed
from outbox.store.writes import write_failed, write_retries

Settlement = tuple[Message, Outcome]


@dataclass(frozen=True, slots=True)
class Settled:
    """Which writes did not land. All others did."""

    lost: Sequence[Settlement] = ()
    """The lease was lost: another worker holds the message or has settled it. Nothing was changed."""
    locked: Sequence[Settlement] = ()
    """Another transaction has locked the row: settle it again with the next group."""
    successors: Sequence[Message] = ()
    """The next messages of the keys whose heads were settled, claimed."""


def settle(
    connection: Connection,
    outcomes: Sequence[Settlement],
    succession: Succession | None = None,
    *,
    wipes: bool = False,
) -> Settled:
    """Write a group of outcomes in the connection's transaction. Safe to repeat after an ambiguous COMMIT.

    With a `succession` the next messages of the settled ones' keys are claimed. `wipes`: what is delivered loses its body.
    """
    delivered: dict[tuple[UUID, int | None], list[Settlement]] = defaultdict(list)
    others: dict[UUID, list[Settlement]] = defaultdict(list)
    for settlement in outcomes:
        held, outcome = settlement[0].claim, settlement[1]
        if isinstance(outcome, Delivered):
            delivered[held.token, outcome.status].append(settlement)
        else:
            others[held.token].append(settlement)
    lost: list[Settlement] = []
    locked: list[Settlement] = []
    deliver = _deliver(connection.dialect.name, wipes=wipes)
    for (token, status), group in delivered.items():
        _settle_delivered(connection, deliver, {"token": token, "status": status}, group, (lost, locked))
    for token, group in others.items():
        _settle_others(connection, token, group, (lost, locked))
    successors: Sequence[Message] = ()
    # Looked for here, because most groups have none, and pay no more than this for those that have.
    if succession is not None and (keyed := [each for each in outcomes if each[0].keyed]):
        # Not by the id alone: a message may be among them twice, by a lease that was lost and by the one that followed.
        missed = {(message.id, message.claim.token) for message, _ in (*lost, *locked)}
        landed = [each for each in keyed if (each[0].id, each[0].claim.token) not in missed]
        successors = succeed(connection, landed, succession)
    return Settled(lost, locked, successors)


Missed = tuple[list[Settlement], list[Settlement]]


def _settle_delivered(
    connection: Connection, deliver: Update, values: dict[str, Any], group: Sequence[Settlement], missed: Missed
) -> None:
    token, ids = values["token"], [settlement[0].id for settlement in group]
    values["ids"] = ids
    if connection.dialect.name == "mysql" and not lock_all_held(connection, token, ids):
        values["ids"] = lock_held(connection, token, ids)
    if not values["ids"] or connection.execute(deliver, values).rowcount != len(ids):
        _sort_out(connection, token, group, missed)


def _settle_others(connection: Connection, token: UUID, group: Sequence[Settlement], missed: Missed) -> None:
    """Lock first, so that the rows, their attempts and the fence agree."""
    ids = [settlement[0].id for settlement in group]
    held = set(lock_held(connection, token, ids))
    mine = [settlement for settlement in group if settlement[0].id in held]
    if len(mine) != len(group):
        _sort_out(connection, token, [each for each in group if each[0].id not in held], missed)
    write_retries(connection, [(each, outcome) for each, outcome in mine if isinstance(outcome, Retry)])
    write_failed(connection, [(each, outcome) for each, outcome in mine if isinstance(outcome, Failed)])


def _sort_out(connection: Connection, token: UUID, group: Sequence[Settlement], missed: Missed) -> None:
    """Tell apart, after a short count: landed before (a repeated COMMIT), locked by another, lost."""
    lost, locked = missed
    ids = [settlement[0].id for settlement in group]
    rows = connection.execute(_look(connection.dialect.name), {"ids": ids, "token": token}).all()
    still_held = {row.id: row.held for row in rows}
    for settlement in group:
        if settlement[0].id not in still_held:
            lost.append(settlement)
        elif still_held[settlement[0].id]:
            locked.append(settlement)


@functools.cache
def _deliver(dialect_name: str, *, wipes: bool) -> Update:
    values = (SETTLED | {"body": WIPED} if wipes else SETTLED) | {
        "state": "delivered",
        "settled_at": utc_now(),
        "last_status": bindparam("status"),
        "last_error": null(),
    }
    where: Iterable[Any] = (id_among(dialect_name), *IS_MINE)
    if dialect_name == "postgresql":
        # A plain UPDATE would wait for as long as anybody holds one of the rows. On MariaDB, where UPDATE
        # takes no such subquery, `lock_all_held` goes before; SQLite has no row locks.
        held = select(message.c.id).where(*where).with_for_update(skip_locked=True).cte("held")
        where = (message.c.id == held.c.id,)
    return update(message).where(*where).values(values)


@functools.cache
def _look(dialect_name: str) -> Select[str, bool]:
    return select(text_id(dialect_name), IS_HELD.label("held")).where(
        id_among(dialect_name), message.c.claim_token == bindparam("token")
    )
