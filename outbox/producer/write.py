"""One batch into one transaction: the keys first, then the messages that own theirs."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from outbox.producer import guard
from outbox.producer.dedup import claim_keys
from outbox.producer.insert import insert_many, insert_one, schema_missing
from outbox.producer.rows import Batch
from outbox.producer.wake import wake


def write_one(connection: Connection, batch: Batch) -> UUID:
    """Write a batch of one; the id of its message, or of the first one with its key."""
    row, key = batch.rows[0], batch.keys[0]
    guard.check(connection)
    try:
        if key is not None:
            owner = claim_keys(connection, batch.options.destination, {key: row["id"]})[key]
            if owner != row["id"]:
                return owner
        insert_one(connection, row, batch.options.delay)
        if batch.wakes:
            wake(connection)
    except DBAPIError as error:
        _explain(error)
        raise
    return row["id"]  # type: ignore[no-any-return]


def write_many(connection: Connection, batch: Batch) -> list[UUID]:
    """Write a batch; each event's message id, or that of the first one with its key."""
    if not batch.rows:
        return []
    guard.check(connection)
    try:
        wanted = _wanted(batch)
        owners = claim_keys(connection, batch.options.destination, wanted)
        ids = [made if key is None else owners[key] for made, key in zip(batch.ids, batch.keys, strict=True)]
        ours = batch.rows
        if wanted:
            ours = [row for row, owner in zip(ours, ids, strict=True) if row["id"] == owner]
        insert_many(connection, ours, batch.options.delay)
        if batch.wakes:
            wake(connection)
    except DBAPIError as error:
        _explain(error)
        raise
    return ids


def _wanted(batch: Batch) -> dict[str, UUID]:
    """The message that each key is claimed for: the first of those in the batch that share it."""
    wanted: dict[str, UUID] = {}
    for made, key in zip(batch.ids, batch.keys, strict=True):
        if key is not None:
            wanted.setdefault(key, made)
    return wanted


def _explain(error: DBAPIError) -> None:
    explanation = schema_missing(error)
    if explanation is not None:
        raise explanation from error
