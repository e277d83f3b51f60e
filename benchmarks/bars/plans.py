"""The plans of what a worker does all day: no sort, no read of the whole table, with statistics and without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from bars.bar import Bar, Figure
from bars.explaining import Plan, explaining
from bars.rows import analyse, fill, keep_statistics, release
from outbox.message import Cause, Delivered
from outbox.store import Choice, Kept, Place, Store, start_of
from support.databases import Database

LEASE = 60.0


def measure(database: Database, *, rows: int = 100_000) -> Iterator[Figure]:
    """Explain each statement of claims, looks at keys, settles, successions, a probe and a purge in a table of so many rows."""
    for plans, statistics in explained(database, rows):
        faults = [fault for plan in plans for fault in plan.faults]
        what = f"sorts and full scans in {len(plans)} plans at {rows:,} rows, {statistics}"
        yield Figure(what, len(faults), most=0)


def explained(database: Database, rows: int) -> Iterator[tuple[list[Plan], str]]:
    """Fill the table, work, and give the plans: before the table is analysed, and after."""
    keep_statistics(database)
    fill(database, rows * 7 // 10)
    fill(database, rows * 2 // 10, first=rows, keys=500)
    fill(database, rows // 10, first=2 * rows, state="delivered")
    yield work(database), "never analysed"
    release(database)
    analyse(database)
    yield work(database), "fresh statistics"


def work(database: Database) -> list[Plan]:
    """Claim from the start and from a position, look at keys, settle, succeed, look for work, probe, purge; give the plans."""
    with explaining(database.engine) as plans, closing(Store(database.engine)) as store:
        after = None
        for _ in range(2):
            claimed = store.claim("overcentric", Choice.ANY, limit=100, free=100, lease=LEASE, after=after)
            after = claimed.reached
            store.settle([(each, Delivered(200)) for each in claimed.messages], ())
        with closing(Store(database.engine, blocks=True)) as blocking:
            for each in (store, blocking):
                _work_off_keys(each)
        store.find_work([Place("overcentric", None, keys=True), Place("overcentric", after, keys=True)])
        store.backlog(["overcentric"])
        store.strangers(())
        store.pause("overcentric", Cause.RETRY_AFTER, "503", "plans", seconds=0.0, first=1.0, longest=1.0)
        probe = store.probe("overcentric", turn=LEASE, lease=LEASE)
        if probe is not None:
            store.settle((), [probe.message])
            store.reopen("overcentric", probe.token)
        for what in Kept:
            store.purge(what, 0.0, start_of(what), until=store.id_of(0.0), size=250)
    return plans


def _work_off_keys(store: Store) -> None:
    key = ""
    for _ in range(2):
        claimed, key = store.claim_heads("overcentric", Choice.ANY, limit=50, free=50, lease=LEASE, after=key)
        store.settle([(each, Delivered(200)) for each in claimed.messages], (), store.succession(LEASE))


BAR = Bar("plans", measure)
