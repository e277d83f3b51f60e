"""A claim takes no more than its limit, whatever plan PostgreSQL chooses for it.

One statement, `UPDATE … WHERE id IN (SELECT … LIMIT 5 FOR UPDATE SKIP LOCKED)`, took all of 2,000 rows with the first five
of the toggles off: the subquery ran anew for each row (measured).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from sqlalchemy import Connection, func, select, text

from bars.bar import Bar, Figure
from bars.rows import analyse, fill, keep_statistics
from outbox.schema import message
from outbox.store import Choice
from outbox.store.claim import claim
from support.databases import Database

LIMIT = 5
TOGGLES = (
    "enable_sort",
    "enable_hashjoin",
    "enable_mergejoin",
    "enable_hashagg",
    "enable_material",
    "enable_indexscan",
    "enable_nestloop",
    "enable_seqscan",
    "enable_bitmapscan",
)


def measure(database: Database, *, rows: int = 20_000, toggles: int = len(TOGGLES)) -> Iterator[Figure]:
    """Claim under each combination of so many of the planner's toggles."""
    keep_statistics(database)
    fill(database, 1)
    analyse(database)
    fill(database, rows, first=2)
    for statistics in ("of one row", "fresh"):
        leased = [_leased(database, chosen) for chosen in product(("on", "off"), repeat=toggles)]
        what = f"rows leased by a claim of {LIMIT}, {len(leased)} plans, statistics {statistics}"
        yield Figure(f"most {what}", max(leased), most=LIMIT)
        yield Figure(f"fewest {what}", min(leased), least=LIMIT)
        analyse(database)


def _leased(database: Database, chosen: tuple[str, ...]) -> int:
    """How many rows a claim leases under these toggles; rolled back."""
    # Each toggle makes a plan look so dear that it would be compiled first.
    given = {"jit": "off"} | dict(zip(TOGGLES, chosen, strict=False))
    with database.engine.connect() as connection:
        connection.execute(text("; ".join(f"SET LOCAL {name} = {value}" for name, value in given.items())))
        claim(connection, "overcentric", Choice.ANY, limit=LIMIT, free=LIMIT, lease=60.0)
        return _count(connection)


def _count(connection: Connection) -> int:
    held = select(func.count()).select_from(message).where(message.c.claimed_until.is_not(None))
    return connection.execute(held).scalar_one()


BAR = Bar("limit", measure, kinds=("postgresql",), short={"rows": 2000, "toggles": 6})
