"""Payloads that are any JSON: checked, written, named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outbox.event import LONGEST_NAME, encode_json
from outbox.event.problems import Problems
from outbox.settings import DestinationSettings


def json_body(payload: Any, settings: DestinationSettings) -> str:
    """Compact ASCII JSON of a payload, by the rules of an event's properties.

    Raises `EventRefused` for what JSON does not have, and for more than `OUTBOX_MAX_BODY`.
    """
    return encode_json(payload, "payload", settings.events.max_body, Problems())


def name_of(payload: Any, settings: DestinationSettings) -> str:
    """What its message is called: the `type` of an object, where that can be a name, else as the destination.

    A name has 1 to 200 printable characters, and no space at its ends.
    """
    found = payload.get("type") if isinstance(payload, Mapping) else None
    if isinstance(found, str) and 1 <= len(found) <= LONGEST_NAME and found.isprintable() and found == found.strip():
        return str.__str__(found)
    return settings.name
