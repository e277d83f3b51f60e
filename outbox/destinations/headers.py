"""Headers from configuration, beside those that are a destination's own."""

from __future__ import annotations

from collections.abc import Collection

from outbox.errors import ConfigurationError
from outbox.settings import DestinationSettings

_CLIENTS = (
    "Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "TE",
    "Trailer", "Transfer-Encoding", "Upgrade",
)  # fmt: skip
"""What the HTTP client writes by itself, or what would change what the rest of a request means."""


def configured(settings: DestinationSettings, own: Collection[str]) -> dict[str, str]:
    """The configured headers. Raises `ConfigurationError` where one is the destination's `own`, or the client's."""
    taken = {name.lower() for name in (*own, *_CLIENTS)}
    for name in settings.headers:
        if name.lower() in taken:
            msg = f"{settings.variable('headers')} holds {name}, which is written anyway"
            raise ConfigurationError(msg, hint="Leave it out.")
    return dict(settings.headers)
