"""Orders and events in one transaction: what commits is sent, what rolls back is not.

To run it::

    export OUTBOX_DATABASE_URL=sqlite:///shop.db OUTBOX_PROJECT_ID=my-project
    outbox db upgrade
    python examples/plain_sqlalchemy.py sqlite:///shop.db
    outbox list
"""

from __future__ import annotations

import sys
from decimal import Decimal

from sqlalchemy import Engine, Numeric, String, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import outbox


class Base(DeclarativeBase):
    """The application's own models. They know nothing of the outbox's tables."""


class Order(Base):
    """A row of the application's."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str] = mapped_column(String(100))
    plan: Mapped[str] = mapped_column(String(100))
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))


def place_order(session: Session, customer: str, plan: str, price: Decimal) -> Order:
    """Write an order and the event that tells of it. Neither is there before the caller commits."""
    order = Order(customer=customer, plan=plan, price=price)
    session.add(order)
    outbox.enqueue(
        session,
        outbox.Event.server("$subscription_purchase", properties={"plan": plan, "price": price}),
        identity=outbox.Identity(customer),
    )
    return order


def open_shop(url: str) -> Engine:
    """Make the engine and the application's tables."""
    engine = create_engine(url)
    outbox.sqlite.configure(engine)
    Base.metadata.create_all(engine)
    return engine


def main(url: str) -> None:
    """Place one order that is kept and one that is not."""
    engine = open_shop(url)
    with Session(engine) as session, session.begin():
        place_order(session, "user_1", "premium", Decimal("29.99"))
    with Session(engine) as session:
        place_order(session, "user_2", "basic", Decimal("9.99"))
        session.rollback()
    print("One order and its event are committed, another order and its event rolled back.")


if __name__ == "__main__":
    main(sys.argv[1])
