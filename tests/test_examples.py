"""The examples, run as a reader would run them: on each database, with a worker and a loopback destination behind them."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from outbox.testing import ThreadedFakeServer, fake_server
from support.databases import Database
from support.workers import drain, environment

EXAMPLES = Path(__file__).parents[1] / "examples"
SECRET = "whsec_of_the_test"


@pytest.fixture
def destination() -> Iterator[ThreadedFakeServer]:
    with fake_server() as server:
        yield server


@pytest.fixture
def settings(database: Database, destination: ThreadedFakeServer) -> dict[str, str]:
    return environment(database.url, destination.url, project_id="my-project") | {"STRIPE_WEBHOOK_SECRET": SECRET}


def run(name: str, url: str, settings: dict[str, str]) -> str:
    command = [sys.executable, str(EXAMPLES / name), url]
    done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    return done.stdout


def arrived(destination: ThreadedFakeServer) -> list[str]:
    assert destination.answers.keys() <= {"200"}
    return sorted(str(one.name) for one in destination.received)


def count(database: Database, table: str) -> int:
    with database.engine.connect() as connection:
        return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def test_orders_and_events(database: Database, settings: dict[str, str], destination: ThreadedFakeServer) -> None:
    """One order is kept and its event arrives, with an exact price; the other one never was, and neither was its event."""
    run("plain_sqlalchemy.py", database.url, settings)
    drain(settings)
    assert count(database, "orders") == 1
    assert arrived(destination) == ["$subscription_purchase"]
    (one,) = destination.received
    assert one.json["event"]["properties"] == {"plan": "premium", "price": 29.99}
    assert one.json["identity"]["unique_identifier"] == "user_1"


def test_with_asyncio(database: Database, settings: dict[str, str], destination: ThreadedFakeServer) -> None:
    """The row and both events are committed together; run again, the one with a key is not sent again."""
    for _ in range(2):
        run("async_sqlalchemy.py", database.async_url(), settings)
    drain(settings)
    assert count(database, "exports") == 2
    assert arrived(destination) == ["document_exported", "document_exported", "report_ready"]


def test_a_webhook_that_is_delivered_twice(
    database: Database, settings: dict[str, str], destination: ThreadedFakeServer
) -> None:
    """Both deliveries are answered with 200, and one event arrives."""
    with stripe_webhook(database.url, settings) as url:
        assert [deliver(url, "customer.subscription.created") for _ in range(2)] == [200, 200]
        assert deliver(url, "invoice.paid") == 200
    drain(settings)
    assert count(database, "subscriptions") == 1
    assert arrived(destination) == ["$subscription_purchase"]
    assert destination.received[0].json["event"]["properties"] == {"plan": "premium", "amount": 29.99}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_webhook_that_nobody_signed(database: Database, settings: dict[str, str]) -> None:
    """A wrong secret, and a signature that is too old, are answered with 400, and write nothing."""
    with stripe_webhook(database.url, settings) as url:
        assert deliver(url, "customer.subscription.created", secret="guessed") == 400
        assert deliver(url, "customer.subscription.created", age=3600) == 400
    assert count(database, "subscriptions") == count(database, "outbox_message") == 0


@contextmanager
def stripe_webhook(url: str, settings: dict[str, str]) -> Iterator[str]:
    command = [sys.executable, str(EXAMPLES / "stripe_webhook.py"), url, "0"]
    with subprocess.Popen(
        command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            process.terminate()


def deliver(url: str, kind: str, *, secret: str = SECRET, age: int = 0) -> int:
    bought = {"id": "sub_1", "customer": "cus_1", "plan": {"id": "premium", "amount": 2999}}
    body = json.dumps({"id": "evt_1", "type": kind, "data": {"object": bought}}).encode()
    moment = str(int(time.time()) - age)
    signature = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    request = urllib.request.Request(url, body, {"Stripe-Signature": f"t={moment},v1={signature}"})  # noqa: S310 - loopback
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_every_example_is_run_here() -> None:
    """A new example comes with a story of its own."""
    here = Path(__file__).read_text(encoding="utf-8")
    tested = (Path(__file__).parent / "test_testing_plugin.py").read_text(encoding="utf-8")
    run = {
        each.name for each in EXAMPLES.glob("*.py") if f'"{each.name}"' in here or f'"examples/{each.name}"' in tested
    }
    assert run == {each.name for each in EXAMPLES.glob("*.py")}
