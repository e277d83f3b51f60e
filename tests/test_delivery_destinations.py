"""Several destinations: each is sent to by its own rules, and leaves the others alone."""

from __future__ import annotations

import asyncio
import base64
import hmac
import time
from pathlib import Path
from typing import Any

import pytest

from outbox.delivery import Delivery
from outbox.errors import ConfigurationError
from outbox.message import Delivered, Message, Retry
from outbox.policy import Policy
from outbox.service.run import check_settings
from outbox.settings import Settings, load
from support.raw_server import Connection, RawServer, answer, answers
from support.sending import CA, delivering, message, server_tls

KEY = bytes(range(24))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def crm(url: str, **told: Any) -> dict[str, dict[str, Any]]:
    """One destination `crm`, as the settings have it."""
    return {"crm": {"url": url, "secret": SECRET} | told}


def hook(body: str = '{"type":"order.paid"}', lease: float = 60.0) -> Message:
    return message(body=body, lease=lease)._replace(destination="crm", name="order.paid")


def test_a_webhook_on_the_wire() -> None:
    """Over TLS: what the receiver verifies is what was stored, and what the configuration adds is there."""

    async def story() -> None:
        async with RawServer(answers(answer(204, b"")), tls=server_tls("localhost")) as server:
            own = crm(server.url, headers={"X-Tenant": "42"})
            async with delivering("http://127.0.0.1:1/", own=own) as delivery:
                assert delivery.names == ("overcentric", "crm")
                assert await delivery.attempt(hook()) == Delivered(204)
            [received] = server.requests
        signed = f"{received.header('webhook-id')}.{received.header('webhook-timestamp')}.".encode() + received.body
        signature = base64.b64encode(hmac.digest(KEY, signed, "sha256")).decode()
        assert received.header("webhook-signature") == f"v1,{signature}"
        assert abs(int(received.header("webhook-timestamp") or 0) - time.time()) < 60
        assert (received.body, received.header("webhook-id")) == (b'{"type":"order.paid"}', hook().id)
        assert (received.header("X-Tenant"), received.header("content-type")) == ("42", "application/json")
        assert received.header("Idempotency-Key") is None

    asyncio.run(story())


def test_each_destination_has_its_own_limits() -> None:
    """A silent destination with a short deadline, beside one that has the outbox's; and a proxy for one of them."""

    async def hang(connection: Connection) -> None:
        await connection.hang()

    async def story() -> None:
        async with RawServer(hang) as silent, RawServer(answers(answer())) as proxy:
            own = crm(silent.url, try_timeout=0.2) | {
                "erp": {"url": "http://localhost:1/", "secret": SECRET, "proxy": f"http://127.0.0.1:{proxy.port}"}
            }
            async with delivering("http://127.0.0.1:1/", own=own) as delivery:
                delivery.stop()
                outcome = await delivery.attempt(hook())
                assert isinstance(outcome, Retry)
                assert outcome.attempt.error == "no answer within 200ms"
                assert await delivery.attempt(hook()._replace(destination="erp")) == Delivered(200)
                refused = await delivery.attempt(message())
                assert isinstance(refused, Retry)
                assert refused.attempt.error == "connection refused by 127.0.0.1:1"
            assert [each.line for each in proxy.requests] == ["POST http://localhost:1/ HTTP/1.1"]

    asyncio.run(story())


def test_what_a_try_needs_of_the_lease_is_its_destinations() -> None:
    """The same lease is enough for one and too short for the other."""

    async def story() -> None:
        async with RawServer(answers(answer())) as server:
            own = crm(server.url, try_timeout=20.0)
            async with delivering(server.url, own=own) as delivery:
                assert await delivery.attempt(hook(lease=15.0)) is None
                assert await delivery.attempt(message(lease=15.0)) == Delivered(200)
                assert len(server.requests) == 1

    asyncio.run(story())


def test_a_file_of_authorities_for_one_destination(tmp_path: Path) -> None:
    """The other does not trust it."""
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(CA.cert_pem.bytes())

    async def story() -> None:
        async with RawServer(answers(answer()), tls=server_tls("localhost")) as server:
            settings = Settings(endpoint=server.url, own=crm(server.url, ca_file=str(trusted)))
            delivery = Delivery(settings, Policy.of(settings))
            delivery.stop()
            outcome = await delivery.attempt(message())
            assert isinstance(outcome, Retry)
            assert outcome.attempt.error == "TLS: the certificate of localhost is of an unknown authority"
            assert await delivery.attempt(hook()) == Delivered(200)
            await delivery.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "OUTBOX_DESTINATION_CRM_URL is not set"),
        ({"url": "crm.example"}, "OUTBOX_DESTINATION_CRM_URL is not an http:// or https:// URL with a host"),
        ({"url": "https://u:p@crm.example/"}, "OUTBOX_DESTINATION_CRM_URL carries a user name or a password"),
        ({"url": "https://xn--a/", "secret": SECRET}, "OUTBOX_DESTINATION_CRM_URL is not a URL"),
        ({"url": "https://crm.example/"}, "OUTBOX_DESTINATION_CRM_SECRET is not set"),
        ({"url": "http://crm.example/", "secret": SECRET}, "OUTBOX_DESTINATION_CRM_URL sends to crm.example:80 in"),
        ({"url": "https://crm.example/", "kind": "smoke"}, "OUTBOX_DESTINATION_CRM_KIND is smoke"),
    ],
)
def test_a_destination_to_which_nothing_can_be_sent(told: dict[str, str], words: str) -> None:
    """Said when a worker starts, with the variable; with `OUTBOX_DELIVERY=log` nothing is sent, and nothing asked."""
    settings = Settings(own={"crm": told})
    with pytest.raises(ConfigurationError) as caught:
        Delivery(settings, Policy.of(settings))
    assert str(caught.value).startswith(words)
    assert caught.value.hint
    assert Delivery(settings.replace(delivery="log"), Policy.of(settings)).names == ("overcentric", "crm")


def test_the_lease_covers_the_slowest_destination() -> None:
    """A lease shorter than twice its try timeout is refused, with its variable."""
    environ = {"OUTBOX_DESTINATION_CRM_URL": "https://crm.example/", "OUTBOX_DESTINATION_CRM_TRY_TIMEOUT": "40s"}
    with pytest.raises(ConfigurationError, match="shorter than twice OUTBOX_DESTINATION_CRM_TRY_TIMEOUT, which is 40s"):
        check_settings(load(environ=environ).settings)
    check_settings(load(environ=environ | {"OUTBOX_LEASE": "80s"}).settings)
    with pytest.raises(ConfigurationError, match="shorter than twice OUTBOX_TRY_TIMEOUT, which is 40s"):
        check_settings(load(environ={"OUTBOX_TRY_TIMEOUT": "40s"}).settings)
