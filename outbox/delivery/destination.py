"""Destinations: how a message becomes a request, and where it goes."""

from __future__ import annotations

import logging
from ipaddress import ip_address
from typing import NamedTuple, Protocol
from urllib.parse import SplitResult, urlsplit

from outbox.errors import ConfigurationError
from outbox.message import Message

logger = logging.getLogger("outbox.delivery")

_HINT = "Write a whole URL, such as https://app.overcentric.com/api/v1/event."


class Request(NamedTuple):
    """What is POSTed. Every try of a message sends the same."""

    url: str
    headers: dict[str, str]
    body: str


class Destination(Protocol):
    """Where messages go. `name` is the one in their `destination` column."""

    @property
    def name(self) -> str:
        """The name that messages carry."""

    @property
    def url(self) -> str:
        """The endpoint."""

    def request(self, message: Message) -> Request:
        """Make the request that carries a message."""


class Overcentric:
    """The Event API: one event a POST, no authentication."""

    name = "overcentric"

    def __init__(self, endpoint: str) -> None:
        self.url = checked(endpoint)

    def request(self, message: Message) -> Request:
        """Make the request that carries a message, its id as the idempotency key."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.id}
        return Request(self.url, headers, message.body)


def checked(endpoint: str) -> str:
    """Return the endpoint as it is, or raise a `ConfigurationError` that does not repeat it: it may hold a password."""
    try:
        parts = urlsplit(endpoint)
        host, _port = parts.hostname, parts.port
    except ValueError:
        msg = "OUTBOX_ENDPOINT is not a URL"
        raise ConfigurationError(msg, hint=_HINT) from None
    if any(character <= " " for character in endpoint) or not host or parts.scheme not in {"http", "https"}:
        msg = "OUTBOX_ENDPOINT is not an http:// or https:// URL with a host"
        raise ConfigurationError(msg, hint=_HINT)
    if "@" in parts.netloc:
        msg = f"OUTBOX_ENDPOINT carries a user name or a password before {host}"
        raise ConfigurationError(msg, hint="Remove them: the Event API asks for none.")
    if parts.scheme == "http" and not _is_loopback(host):
        logger.warning("events go to %s in plain text: use https:// outside of tests", authority(parts))
    return endpoint


def authority(parts: SplitResult) -> str:
    """`host:port`, with the port that the scheme implies, and nothing that could be a secret."""
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
