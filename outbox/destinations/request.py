"""What every destination is made of: a request, an endpoint that was looked at, and the protocol itself."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import SplitResult, urlsplit

from outbox._version import __version__
from outbox.errors import ConfigurationError
from outbox.event import Encoded
from outbox.message import Message
from outbox.settings.destinations import DEFAULT_ENDPOINT

USER_AGENT: Final = f"overcentric-outbox/{__version__}"
"""What every request calls itself, beside the headers that a destination gives it."""


class Request(NamedTuple):
    """What is POSTed. Every try of an attempt sends the same."""

    url: str
    headers: dict[str, str]
    body: str


class Destination(Protocol):
    """Where messages go, and what they are on the wire. Made from `DestinationSettings` by its kind's factory.

    `enqueue` makes one in the application's own process, where there is neither a URL nor a secret, for `encode`
    alone; a worker makes one for `check` and `request`.
    """

    @property
    def name(self) -> str:
        """The name that messages carry in their `destination` column."""

    @property
    def url(self) -> str:
        """The endpoint. A worker refuses one that is not http or https before it calls `check`."""

    def encode(self, payload: Any, identity: Any = None) -> Encoded:
        """Check what `enqueue` was given and write it as the text that is stored and sent.

        Raises `EventRefused` for what can never be sent.
        """

    def check(self) -> None:
        """Raise a `ConfigurationError` for settings with which nothing can be sent. Called when a worker starts."""

    def request(self, message: Message) -> Request:
        """Make the request that carries a message: the same body each time."""


def checked(endpoint: str, variable: str = "OUTBOX_ENDPOINT") -> str:
    """Return the endpoint as it is, or raise a `ConfigurationError` that does not repeat it: it may hold a password.

    `variable` is where it was configured, which the error names.
    """
    example = DEFAULT_ENDPOINT if variable == "OUTBOX_ENDPOINT" else "https://crm.example/hooks"
    hint = f"Write a whole URL, such as {example}."
    try:
        parts = urlsplit(endpoint)
        host, _port = parts.hostname, parts.port
    except ValueError:
        msg = f"{variable} is not a URL"
        raise ConfigurationError(msg, hint=hint) from None
    if any(character <= " " for character in endpoint) or not host or parts.scheme not in {"http", "https"}:
        msg = f"{variable} is not an http:// or https:// URL with a host" if endpoint else f"{variable} is not set"
        raise ConfigurationError(msg, hint=hint)
    if "@" in parts.netloc:
        msg = f"{variable} carries a user name or a password before {host}"
        raise ConfigurationError(msg, hint="Remove them: what authenticates goes into a header.")
    return endpoint


def is_plain(endpoint: str) -> bool:
    """Whether what is sent there can be read on its way: http:// beyond this machine."""
    parts = urlsplit(endpoint)
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


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
