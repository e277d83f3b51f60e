"""An operator who repairs, and workers and operators beside: each message has one owner, and none is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from threading import Barrier, Event
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select, update

from outbox.message import Delivered, Failed, FailureReason, State
from outbox.producer.ids import uuid7
from outbox.schema import message
from outbox.store import Choice, Store
from outbox.store.discard import discard_some
from outbox.store.edit import Edited, replace
from outbox.store.engine import open_engine
from outbox.store.look import Filters
from outbox.store.retry import retry_some, retry_spread
from outbox.store.selection import moment
from outbox.store.transactions import Transactions
from support.commands import rows
from support.databases import Database
from support.failures import BODY, fail_many
from support.rows import LEASE, an_attempt, put

RACES = 1000
AT_ONCE = 20
FAILED = Filters(state=State.FAILED, undiscarded=True)
PENDING = Filters(state=State.PENDING)

Step = Callable[[Transactions, Sequence[str]], int]


def operate(database: Database, ids: list[str], step: Step, start: Barrier) -> int:
    """Be an operator who changes all of the messages, a few at a time; give how many changed."""
    engine = open_engine(database.url)
    with closing(Transactions(engine)) as transactions:
        transactions.run(moment)  # who has to connect yet comes too late to a race
        start.wait()
        done = sum(step(transactions, ids[place : place + AT_ONCE]) for place in range(0, len(ids), AT_ONCE))
    engine.dispose()
    return done


def work(database: Database, start: Barrier, ended: Event) -> list[str]:
    """Be a worker that claims whatever there is until the operators have ended; give what it claimed."""
    engine = open_engine(database.url)
    claimed: list[str] = []
    with closing(Store(engine)) as store:
        store.waiting("overcentric")
        start.wait()
        over = False
        while True:
            found = store.claim("overcentric", Choice.ANY, limit=AT_ONCE, free=AT_ONCE, lease=LEASE).messages
            claimed += [each.id for each in found]
            if over and not found:
                break
            over = ended.is_set()
    engine.dispose()
    return claimed


def race(database: Database, ids: list[str], *steps: Step, apart: int = 0) -> tuple[list[int], list[list[str]]]:
    """Let operators, who begin so many messages apart, and two workers meet; give what each has done."""
    start, ended = Barrier(len(steps) + 2), Event()
    with ThreadPoolExecutor(len(steps) + 2) as pool:
        workers = [pool.submit(work, database, start, ended) for _ in range(2)]
        operators = [
            pool.submit(operate, database, ids[place * apart :] + ids[: place * apart], step, start)
            for place, step in enumerate(steps)
        ]
        try:
            done = [each.result(60) for each in operators]
        finally:
            ended.set()
        return done, [each.result(60) for each in workers]


def send_again(transactions: Transactions, ids: Sequence[str]) -> int:
    """Retry some."""
    return transactions.run(retry_some, FAILED, ids)


def send_paced(transactions: Transactions, ids: Sequence[str]) -> int:
    """Retry some at a rate that holds nothing up here."""
    return transactions.run(retry_spread, FAILED, ids, gap=1e-6, start=None).changed


def give_up(filters: Filters, transactions: Transactions, ids: Sequence[str]) -> int:
    """Discard some."""
    return transactions.run(discard_some, filters, ids)


def edit(transactions: Transactions, ids: Sequence[str]) -> int:
    """Replace some."""
    edited = [Edited(each, uuid7(), "edited", BODY) for each in ids]
    return len(transactions.run(replace, FAILED, edited))


def test_retries_that_race_with_each_other_and_with_claims(database: Database) -> None:
    """Each message is sent again by one of two operators, and claimed by one of two workers, once."""
    ids = [str(each) for each in fail_many(database, {"bad": RACES})["bad"]]
    done, claimed = race(database, ids, send_again, send_paced)
    assert sum(done) == RACES
    assert Counter(claimed[0] + claimed[1]) == Counter(ids)
    assert all(row.state == "pending" and row.lost == 0 for row in rows(database))


def test_discards_that_race_with_claims(database: Database) -> None:
    """A pending message is claimed or discarded, never both, and never neither."""
    ids = put(database, RACES)
    (done,), claimed = race(database, ids, partial(give_up, PENDING))
    held = Counter(claimed[0] + claimed[1])
    discarded = [row for row in rows(database) if row.state == "failed"]
    assert done == len(discarded)
    assert Counter(str(row.id) for row in discarded) + held == Counter(ids)
    assert {(row.failure_reason, row.claim_token, row.claimed_until) for row in discarded} <= {
        ("discarded", None, None)
    }


def test_retry_discard_and_edit_of_the_same(database: Database) -> None:
    """Each message is sent again, given up or replaced: whoever comes first, and nobody after them."""
    ids = [str(each) for each in fail_many(database, {"bad": RACES})["bad"]]
    done, claimed = race(database, ids, send_again, partial(give_up, FAILED), edit, apart=RACES // 3)
    assert sum(done) == RACES
    sent = Counter(claimed[0] + claimed[1])
    assert set(sent.values()) == {1}
    assert sum(sent.values()) == done[0] + done[2]
    found = rows(database)
    assert Counter(row.failure_reason for row in found) == {None: done[0] + done[2], "discarded": done[1] + done[2]}
    assert sum((row.last_error or "").startswith("edited: replaced by ") for row in found) == done[2]


def test_an_owner_of_before_changes_nothing(database: Database) -> None:
    """A worker that comes late to a message that was discarded, or sent again, under it finds that it has lost it."""
    ids = put(database, 2)
    engine = open_engine(database.url)
    with closing(Store(engine)) as store, closing(Transactions(engine)) as transactions:
        held = store.claim("overcentric", Choice.ANY, limit=2, free=2, lease=-1.0).messages
        assert [each.id for each in held] == ids
        assert transactions.run(discard_some, PENDING, ids) == 2
        assert send_again(transactions, ids[:1]) == 0
        assert transactions.run(retry_some, Filters(state=State.FAILED), ids[:1]) == 1
        late = [(each, Failed(FailureReason.REJECTED, an_attempt())) for each in held]
        assert len(store.settle(late, ()).lost) == 2
        assert len(store.settle([(each, Delivered(200)) for each in held], ()).lost) == 2
    engine.dispose()
    assert [(row.state, row.failure_reason) for row in rows(database)] == [("pending", None), ("failed", "discarded")]


def test_a_step_judges_again(database: Database) -> None:
    """What a look found and has changed since is left: nothing is changed by its id alone."""
    ids = [str(each) for each in fail_many(database, {"bad": 3})["bad"]]
    changes: list[dict[str, Any]] = [{"state": "delivered", "failure_reason": None}, {"last_error": "worse"}]
    filters = Filters(state=State.FAILED, error="bad")
    with database.engine.begin() as connection:
        for each, change in zip(ids, changes, strict=False):
            connection.execute(update(message).where(message.c.id == UUID(each)).values(change))
    token = uuid4()
    for step in (
        lambda connection: discard_some(connection, filters, ids[:2]),
        lambda connection: retry_some(connection, filters, ids[:2]),
        lambda connection: retry_spread(connection, filters, ids[:2], gap=1.0, start=None).changed,
        lambda connection: len(replace(connection, filters, [Edited(each, token, "n", "{}") for each in ids[:2]])),
    ):
        with closing(Transactions(database.engine)) as transactions:
            assert transactions.run(step) == 0
    with database.engine.connect() as connection:
        states = connection.execute(select(message.c.state, message.c.failure_reason).order_by(message.c.id)).all()
    assert [*map(tuple, states)] == [("delivered", None), ("failed", "rejected"), ("failed", "rejected")]
