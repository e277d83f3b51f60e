"""How the databases run what a worker asks all day."""

from __future__ import annotations

from contextlib import closing

import pytest

from bars import limit, plans
from bars.explaining import explaining
from bars.rows import analyse, fill
from outbox.store import Choice, Store
from support.databases import Database


def test_no_statement_sorts_or_reads_the_table(database: Database) -> None:
    """With 100,000 rows, statistics or none, claims, looks at keys, settles and successions go by an index, in its order."""
    for found, statistics in plans.explained(database, 100_000):
        assert len(found) > 15, "plans that were looked at"
        assert {plan.statement: plan.faults for plan in found if plan.faults} == {}, statistics


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_claim_never_exceeds_its_limit(database: Database) -> None:
    """Whatever plan the planner is driven to, with statistics that are far from the truth or true, it takes its five."""
    for figure in limit.measure(database, **limit.BAR.short):
        assert figure.holds(), figure


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_what_is_ahead_of_a_message_is_looked_up_by_its_key(database: Database) -> None:
    """MariaDB's statistics say that few are pending, or failed: it would read all of these for each message with a key."""
    fill(database, 20_000, state="delivered")
    fill(database, 100, first=25_000)
    fill(database, 40, first=30_000, keys=2)
    analyse(database)
    with explaining(database.engine) as found, closing(Store(database.engine, blocks=True)) as store:
        store.claim_heads("overcentric", Choice.SUSPECT, limit=1, free=1, lease=60.0)
        store.waiting("overcentric")
    ahead = [row for plan in found for row in plan.rows if row["table"] in {"older", "failed"}]
    assert {row["table"] for row in ahead} == {"older", "failed"}
    assert {row["key"] for row in ahead} == {"outbox_message_keyed"}
