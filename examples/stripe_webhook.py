"""A payment provider's webhook: the provider may deliver it twice, the event is sent once.

Stripe repeats a delivery until it is answered with 2xx, and sometimes after that. Its event id is the `dedup_key`: the
second delivery writes nothing and is answered like the first. Nothing but the standard library and SQLAlchemy is used. To run it::

    export OUTBOX_DATABASE_URL=sqlite:///shop.db OUTBOX_PROJECT_ID=my-project STRIPE_WEBHOOK_SECRET=whsec_...
    outbox db upgrade
    python examples/stripe_webhook.py sqlite:///shop.db 8000
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any
from wsgiref.simple_server import make_server

from sqlalchemy import Engine, String, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import outbox

TOLERANCE = 300
"""Seconds for which a signature counts, as Stripe's libraries have it."""


class Base(DeclarativeBase):
    """The application's own models."""


class Subscription(Base):
    """What the customer bought."""

    __tablename__ = "subscriptions"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    customer: Mapped[str] = mapped_column(String(100))
    plan: Mapped[str] = mapped_column(String(100))


def record(session: Session, delivery: dict[str, Any]) -> None:
    """Write what a delivery says. Doing it twice changes nothing."""
    if delivery["type"] != "customer.subscription.created":
        return
    bought = delivery["data"]["object"]
    session.merge(Subscription(id=bought["id"], customer=bought["customer"], plan=bought["plan"]["id"]))
    properties = {"plan": bought["plan"]["id"], "amount": Decimal(bought["plan"]["amount"]) / 100}
    outbox.enqueue(
        session,
        outbox.Event.server("$subscription_purchase", properties=properties),
        identity=outbox.Identity(bought["customer"]),
        dedup_key=f"stripe:{delivery['id']}",
    )


def is_signed(body: bytes, header: str, secret: str) -> bool:
    """Whether Stripe signed the body, lately: `Stripe-Signature: t=…,v1=…`."""
    parts = [part.partition("=")[::2] for part in header.split(",")]
    moment = next((value for key, value in parts if key == "t"), "")
    if not moment.isdecimal() or abs(time.time() - int(moment)) > TOLERANCE:
        return False
    wanted = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return any(key == "v1" and hmac.compare_digest(value.encode(), wanted.encode()) for key, value in parts)


def application(engine: Engine, secret: str) -> Callable[..., Iterable[bytes]]:
    """Make the WSGI application. It answers 2xx only after the commit: otherwise Stripe delivers again."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if not is_signed(body, environ.get("HTTP_STRIPE_SIGNATURE", ""), secret):
            start_response("400 Bad Request", [])
            return []
        with Session(engine) as session, session.begin():
            record(session, json.loads(body))
        start_response("200 OK", [])
        return []

    return answer


def main(url: str, port: int) -> None:
    """Serve until interrupted."""
    engine = create_engine(url)
    outbox.sqlite.configure(engine, immediate=True)  # it reads, then writes, beside a worker that writes
    Base.metadata.create_all(engine)
    with make_server("127.0.0.1", port, application(engine, os.environ["STRIPE_WEBHOOK_SECRET"])) as server:
        print(f"Listening on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
