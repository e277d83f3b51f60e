"""A producer: an application that enqueues in every way, survives what is done to the database, and keeps the ledger.

It runs as a process of its own: `python -m chaos.producer JSON`.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from random import Random

from sqlalchemy import Column, MetaData, String, Table, create_engine, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

import outbox
from chaos.ledger import Enqueued, Ledger, Trouble
from chaos.work import Made, Work
from outbox.store.trouble import is_locked, is_repeatable

metadata = MetaData()
orders = Table(
    "chaos_order",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(9), nullable=False),
)
"""The application's own table."""

_ORDER, _TOMBSTONE = "order", "tombstone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a producer is told."""

    number: int
    seed: str
    url: str
    ledger: str
    enough: str
    """While there is a file of this name it rests."""
    rate: float
    """Committed events per second that it aims for."""

    def command(self) -> list[str]:
        """The process to start."""
        return [sys.executable, "-m", "chaos.producer", json.dumps(asdict(self))]


class Producer:
    """Enqueues until it is stopped."""

    def __init__(self, told: Orders) -> None:
        self.stopping = threading.Event()
        self._told = told
        self._chance = Random(told.seed)  # noqa: S311 - repeatable on purpose
        self._ledger = Ledger(Path(told.ledger))
        self._engine = create_engine(told.url, pool_pre_ping=True)
        outbox.sqlite.configure(self._engine, immediate=True)
        self._numbers = count()
        self._committed = 0

    def run(self) -> None:
        """Tell one story after the other, no faster than the rate."""
        stories: dict[Callable[[], None], int] = {
            self._plain: 30,
            self._rolled_back: 8,
            self._savepoints: 14,
            self._once: 14,
            self._parked: 10,
            self._bulk: 6,
            self._keyed: 20,
        }
        began, enough = time.monotonic(), Path(self._told.enough)
        while not self.stopping.is_set():
            (story,) = self._chance.choices([*stories], [*stories.values()])
            story()
            self.stopping.wait(began + self._committed / self._told.rate - time.monotonic())
            while enough.exists() and not self.stopping.wait(0.05):
                pass
        self._engine.dispose()
        self._ledger.close()

    def _plain(self) -> None:
        self._transact(lambda work: work.enqueue(self._some()))

    def _rolled_back(self) -> None:
        self._transact(lambda work: work.enqueue(self._some()), commit=False)

    def _bulk(self) -> None:
        size, park = self._chance.randint(20, 100), self._chance.random() < 0.3
        self._transact(lambda work: work.enqueue_many(size, park=park), commit=self._chance.random() < 0.9)

    def _parked(self) -> None:
        self._transact(lambda work: work.enqueue(self._some(), on_unknown="park"))

    def _savepoints(self) -> None:
        """Some before, some inside, some after; the savepoint and the whole are kept or not."""
        before, after = self._chance.randrange(2), self._chance.randrange(2)
        keep, commit = self._chance.random() < 0.5, self._chance.random() < 0.8

        def script(work: Work) -> None:
            work.enqueue(before)
            with work.savepoint(keep=keep):
                work.enqueue(self._some())
            work.enqueue(after)

        self._transact(script, commit=commit)

    def _keyed(self) -> None:
        """With ordering keys: some of its own, and some that all producers share."""
        owner = self._chance.choice([f"own-{self._told.number}", "shared"])
        keys = [f"{owner}-{self._chance.randrange(4)}" for _ in range(self._chance.choice([1, 1, 2, 3, 20]))]

        def script(work: Work) -> None:
            if len(keys) > 3:
                work.enqueue_many(len(keys), ordering_keys=keys)
            else:
                for each in keys:
                    work.enqueue(ordering_key=each)

        self._transact(script, commit=self._chance.random() < 0.9)

    def _once(self) -> None:
        """A webhook: the whole transaction again, with the same key, until COMMIT has returned; at times once more."""
        number = next(self._numbers)
        key, tried, wanted = f"webhook-{self._told.number}-{number}", list[Made](), self._chance.choice([1, 1, 1, 2])
        while wanted:
            work = Work(f"{self._told.number}-{number}")
            if self._attempt(f"{self._told.number}-{next(self._numbers)}", self._deliver(work, key)) == "commit":
                wanted -= 1
            tried += work.kept
            owner = tried[-1].id if tried else ""
        ended, seen = time.monotonic(), {each.id: each for each in tried}
        landed = "commit" if len(seen) == 1 else "landed"
        for each in seen.values():
            self._record(each, ended, how=landed if each.id == owner else "not landed")

    def _deliver(self, work: Work, key: str) -> Callable[[Session], None]:
        def deliver(session: Session) -> None:
            work.session = session
            work.enqueue(dedup_key=key)

        return deliver

    def _transact(self, script: Callable[[Work], None], *, commit: bool = True) -> None:
        """One transaction of the application's: its own row and events. When COMMIT raised, find out what became of it."""
        order = f"{self._told.number}-{next(self._numbers)}"
        work = Work(order)

        def run(session: Session) -> None:
            work.session = session
            script(work)

        how = self._attempt(order, run, commit=commit)
        if how == "in doubt":
            how = "landed" if self._has_landed(order) else "not landed"
        ended = time.monotonic()
        for each in work.kept:
            self._record(each, ended, how=how)
        for each in work.undone:
            self._record(each, ended, how="savepoint")

    def _attempt(self, order: str, run: Callable[[Session], None], *, commit: bool = True) -> str:
        """`commit`, `rollback`, `broken` (before COMMIT was sent), or `in doubt` (COMMIT raised)."""
        began, how = time.monotonic(), "broken"
        try:
            with Session(self._engine) as session:
                session.execute(insert(orders).values(id=order, kind=_ORDER))
                run(session)
                if commit:
                    how = "in doubt"
                    session.commit()
                    how = "commit"
                else:
                    how = "rollback"
        except DBAPIError as error:
            self._bear(began, error)
        return how

    def _has_landed(self, order: str) -> bool:
        """Whether the order is there. Its id is taken or was free; what took it now can never be overtaken by a late COMMIT."""
        while True:
            began = time.monotonic()
            try:
                with Session(self._engine) as session, session.begin():
                    session.execute(insert(orders).values(id=order, kind=_TOMBSTONE))
            except IntegrityError:
                break
            except DBAPIError as error:
                self._bear(began, error)
            else:
                return False
        return self._kind_of(order) == _ORDER

    def _kind_of(self, order: str) -> str:
        while True:
            began = time.monotonic()
            try:
                with self._engine.connect() as connection:
                    return str(connection.execute(select(orders.c.kind).where(orders.c.id == order)).scalar_one())
            except DBAPIError as error:
                self._bear(began, error)

    def _bear(self, began: float, error: DBAPIError) -> None:
        """Note the database's trouble, and wait a little."""
        ended, text = time.monotonic(), str(error.orig).strip()
        self._ledger.write(Trouble(began, ended, self._told.number, _kind(error), text))
        time.sleep(self._chance.uniform(0.02, 0.2))

    def _record(self, made: Made, ended: float, *, how: str) -> None:
        committed = how in {"commit", "landed"}
        self._committed += committed
        self._ledger.write(
            Enqueued(made.id, made.marker, made.at, ended, committed, how, self._told.number, *made.options)
        )

    def _some(self) -> int:
        return self._chance.randint(1, 3)


def _kind(error: DBAPIError) -> str:
    if is_repeatable(error) or is_locked(error):
        return "lock"
    return "connection" if error.connection_invalidated or "OperationalError" in type(error).__name__ else "other"


def main(told: Orders) -> None:
    """Run a producer until SIGTERM."""
    producer = Producer(told)
    signal.signal(signal.SIGTERM, lambda *_: producer.stopping.set())
    producer.run()


if __name__ == "__main__":
    main(Orders(**json.loads(sys.argv[1])))
