"""Any JSON to any endpoint, signed as the Standard Webhooks specification has it (version 1.0.0, standardwebhooks.com)."""

from __future__ import annotations

import hmac
import time
from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import urlsplit

from outbox.destinations.headers import configured
from outbox.destinations.payload import json_body, name_of
from outbox.destinations.request import Request, authority, is_plain
from outbox.errors import ConfigurationError, EventRefused, Problem
from outbox.event import Encoded, Event
from outbox.message import Message
from outbox.settings import DestinationSettings

_PREFIX = "whsec_"
_OWN_HEADERS = ("Content-Type", "webhook-id", "webhook-timestamp", "webhook-signature")
_HINT = "Write whsec_ and the base64 of 24 to 64 random bytes; several secrets, separated by spaces, all sign."


class Webhook:
    """Signs with a secret that the receiver has too (HMAC-SHA256, `v1`). Its messages' ids are the webhooks' ids."""

    def __init__(self, settings: DestinationSettings) -> None:
        self.name = settings.name
        self.url = settings.url
        self._settings = settings
        self._headers = {"Content-Type": "application/json", **configured(settings, _OWN_HEADERS)}
        self._keys = [_key(text, settings.variable("secret")) for text in (settings.secret or "").split()]

    def encode(self, payload: Any, identity: Any = None) -> Encoded:
        """Check a JSON value and write it. The `type` of an object is the message's name: see `name_of`."""
        if identity is not None:
            wrong, fix = f"is given, and {self.name} is a webhook, which knows none", "put who did it into the payload"
            raise EventRefused(Problem("identity", wrong, fix))
        if isinstance(payload, Event):
            wrong, fix = f"is an Event, and {self.name} is a webhook", "pass a dict, or another JSON value"
            raise EventRefused(Problem("payload", wrong, fix))
        return Encoded(name_of(payload, self._settings), json_body(payload, self._settings), None)

    def check(self) -> None:
        """Raise a `ConfigurationError` where requests would be unsigned, or read on their way."""
        if not self._keys:
            msg = f"{self._settings.variable('secret')} is not set: the webhooks of {self.name} could not be signed"
            raise ConfigurationError(msg, hint=_HINT)
        if is_plain(self.url):
            msg = f"{self._settings.variable('url')} sends to {authority(urlsplit(self.url))} in plain text"
            raise ConfigurationError(msg, hint="Write https://; http:// is for this machine alone.")

    def request(self, message: Message) -> Request:
        """Sign a message for now: the time of the attempt keeps others from sending it once more later."""
        moment = str(int(time.time()))
        signed = f"{message.id}.{moment}.{message.body}".encode()
        signatures = (b64encode(hmac.digest(key, signed, "sha256")).decode() for key in self._keys)
        headers = {
            **self._headers,
            "webhook-id": message.id,
            "webhook-timestamp": moment,
            "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
        }
        return Request(self.url, headers, message.body)


def _key(text: str, variable: str) -> bytes:
    try:
        key = b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:  # also for what is no ASCII
        key = b""
    if not text.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        msg = f"{variable} holds something that is no secret of a webhook"
        raise ConfigurationError(msg, hint=_HINT)
    return key
