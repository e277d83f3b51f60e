"""Overcentric's Event API: one event a POST, no authentication."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

from outbox.destinations.headers import configured
from outbox.destinations.request import Request, authority, is_plain
from outbox.event import Encoded, encode
from outbox.message import Message
from outbox.settings import DestinationSettings

logger = logging.getLogger("outbox.delivery")


class Overcentric:
    """The documented request body, and the message's id as the idempotency key."""

    def __init__(self, settings: DestinationSettings) -> None:
        self.name = settings.name
        self.url = settings.url
        own = configured(settings, ("Content-Type", "Idempotency-Key"))
        self._headers = {"Content-Type": "application/json", **own}
        self._events = settings.events._asdict()

    def encode(self, payload: Any, identity: Any = None) -> Encoded:
        """Check an `Event`, or the documented request body, and write it as JSON."""
        return encode(payload, identity, **self._events)

    def check(self) -> None:
        """Nothing can be wrong but the endpoint; one that others can listen to is warned about."""
        if is_plain(self.url):
            where = authority(urlsplit(self.url))
            logger.warning("events go to %s in plain text: use https:// outside of tests", where)

    def request(self, message: Message) -> Request:
        """Make the request that carries a message."""
        return Request(self.url, {**self._headers, "Idempotency-Key": message.id}, message.body)
