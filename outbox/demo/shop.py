"""The application of the demo: a shop that writes its orders, and the events about them, in one transaction each.

It knows nothing of the worker. This is how an application uses the outbox.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import String, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

import outbox
from outbox.demo.plan import Kind, Visit

_LOCK_SECONDS = 30


class _Table(DeclarativeBase):
    pass


class Order(_Table):
    """An order, and the id of the event that tells of it."""

    __tablename__ = "orders"
    number: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(String(36))


class Payment(_Table):
    """A webhook that was received. A redelivered one is a row of its own, with the event of the first."""

    __tablename__ = "payments"
    id: Mapped[int] = mapped_column(primary_key=True)
    delivery: Mapped[str] = mapped_column(String(40))
    event_id: Mapped[str] = mapped_column(String(36))


class CardDeclinedError(Exception):
    """The reason for which a transaction of the shop rolls back."""


class Shop:
    """Serves visits one after the other, on a thread of its own, through an engine of its own."""

    def __init__(self, database: Path, visits: list[Visit], pause: Callable[[], float]) -> None:
        self.rolled_back: list[str] = []
        """Ids of events whose transaction or savepoint rolled back. The database cannot know them: the shop does."""
        self.served = 0
        self.failure: Exception | None = None
        self._engine = create_engine(f"sqlite:///{database}", connect_args={"timeout": _LOCK_SECONDS})
        outbox.sqlite.configure(self._engine, immediate=True)
        _Table.metadata.create_all(self._engine)
        self._transaction = sessionmaker(self._engine).begin
        self._visits = visits
        self._pause = pause
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="outbox-demo-shop")

    @property
    def is_open(self) -> bool:
        """Whether visits are still to be served."""
        return self._thread.is_alive()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Serve until all are served or the block ends."""
        self._thread.start()
        try:
            yield
        finally:
            self._closing.set()
            self._thread.join()
            self._engine.dispose()

    def _serve(self) -> None:
        serve = {
            Kind.ORDER: self._order,
            Kind.DECLINED: self._declined,
            Kind.COUPON: self._coupon,
            Kind.WEBHOOK: self._webhook,
        }
        try:
            for visit in self._visits:
                if self._closing.wait(self._pause()):
                    return
                serve[visit.kind](visit.number)
                self.served += 1
        except Exception as error:  # noqa: BLE001 - whoever waits for the shop raises it
            self.failure = error

    def _order(self, number: int) -> None:
        with self._transaction() as session:
            _place(session, number)

    def _declined(self, number: int) -> None:
        with suppress(CardDeclinedError), self._transaction() as session:
            self.rolled_back.append(_place(session, number))
            session.flush()
            raise CardDeclinedError

    def _coupon(self, number: int) -> None:
        with self._transaction() as session:
            _place(session, number)
            coupon = session.begin_nested()
            self.rolled_back.append(_enqueue(session, "coupon_redeemed", number))
            coupon.rollback()

    def _webhook(self, number: int) -> None:
        delivery = f"delivery-{number}"
        with self._transaction() as session:
            event_id = _enqueue(session, "payment_received", number, dedup_key=delivery)
            session.add(Payment(delivery=delivery, event_id=event_id))


def _place(session: Session, number: int) -> str:
    event_id = _enqueue(session, "order_placed", number)
    session.add(Order(number=number, event_id=event_id))
    return event_id


def _enqueue(session: Session, name: str, number: int, dedup_key: str | None = None) -> str:
    event = outbox.Event.server(name, project_id="demo-shop", properties={"order": number})
    customer = outbox.Identity(f"customer_{number % 50}")
    return str(outbox.enqueue(session, event, identity=customer, dedup_key=dedup_key))


def visits_at(rate: float, generator: random.Random) -> Callable[[], float]:
    """Seconds between visits, at random, about `rate` visits a second."""
    return lambda: generator.uniform(0, 2 / rate)
