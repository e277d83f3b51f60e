"""Rows of MariaDB keep their length from the INSERT until they are delivered."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import text

from outbox.message import Delivered
from outbox.schema import message
from outbox.store import Choice, Store
from support.databases import Database
from support.rows import put

# Bytes of a row that come and go: fixed lengths of what may be null, and the texts.
_LENGTH = text(
    "SELECT DISTINCT coalesce(length(claim_token), 0) + 8 * (claimed_until IS NOT NULL) + 8 * (settled_at IS NOT NULL)"
    " + 4 * (last_status IS NOT NULL) + coalesce(length(last_error), 0) + length(state) + length(room) FROM outbox_message"
)


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_no_step_on_the_way_makes_a_row_longer(database: Database) -> None:
    """InnoDB moves the rows of a whole page together for one that grows: three times the cost of a claim and a settle."""
    # Whoever adds a column that comes and goes adds it to the sum, and to the room.
    added_up = {"claim_token", "claimed_until", "settled_at", "last_status", "last_error"}
    assert {each.name for each in message.c if each.nullable} == added_up | {"ordering_key", "failure_reason"}
    put(database, 3)
    with closing(Store(database.engine)) as store:
        lengths = [_length(database)]
        for outcome in (None, Delivered(200)):
            claimed = store.claim("overcentric", Choice.ANY, limit=3, free=3, lease=60.0).messages
            assert len(claimed) == 3
            lengths.append(_length(database))
            outcomes: list[Any] = [(each, outcome) for each in claimed if outcome]
            store.settle(outcomes, () if outcome else claimed)
            lengths.append(_length(database))
    assert lengths == [37, 37, 37, 37, 37], "inserted, claimed, released, claimed, delivered"


def _length(database: Database) -> int:
    with database.engine.connect() as connection:
        return int(connection.execute(_LENGTH).scalar_one())
