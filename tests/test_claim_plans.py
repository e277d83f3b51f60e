"""How the databases run what a worker asks all day."""

from __future__ import annotations

import pytest

from bars import limit, plans
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
