"""Messages and deliveries for tests that send to a `RawServer`."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import trustme

from outbox.clock import lease_clock
from outbox.delivery import Delivery
from outbox.message import Claim, Message
from outbox.policy import Policy
from outbox.settings import Settings

ID = "0192f0c1-2345-7abc-8def-0123456789ab"
BODY = '{"event": {"name": "sign_up", "properties": {"city": "Zürich"}}}'

CA = trustme.CA()
"""The authority that `delivering` trusts."""


def message(*, attempts: int = 0, on_unknown: str = "retry", lease: float = 60.0, body: str = BODY) -> Message:
    """Make a message claimed for `lease` seconds from now."""
    claim = Claim(UUID(int=1), lease_clock() + lease)
    return Message(ID, "sign_up", body, attempts, on_unknown, False, "overcentric", claim)


@asynccontextmanager
async def delivering(
    endpoint: str, *, try_timeout: float = 2.0, policy: Policy | None = None, **settings: Any
) -> AsyncIterator[Delivery]:
    """Open a delivery to an endpoint, and close it."""
    chosen = Settings(endpoint=endpoint, try_timeout=try_timeout, **settings)
    with CA.cert_pem.tempfile() as trusted:
        delivery = Delivery(chosen if chosen.ca_file else chosen.replace(ca_file=trusted), policy or Policy.of(chosen))
    try:
        yield delivery
    finally:
        await delivery.close()


def server_tls(
    *names: str, authority: trustme.CA = CA, not_before: datetime | None = None, not_after: datetime | None = None
) -> ssl.SSLContext:
    """Make a server's context with a certificate for some names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_before=not_before, not_after=not_after).configure_cert(context)
    return context
