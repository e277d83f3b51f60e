"""Event and Identity: the Event API's request body, validated at the call and encoded once."""

from outbox.event.encoding import Encoded, encode, encode_json
from outbox.event.model import Event, Identity
from outbox.event.names import BROWSER_NAMES, CONTEXTS, LONGEST_NAME, RESERVED_NAMES, Context

__all__ = [
    "BROWSER_NAMES",
    "CONTEXTS",
    "LONGEST_NAME",
    "RESERVED_NAMES",
    "Context",
    "Encoded",
    "Event",
    "Identity",
    "encode",
    "encode_json",
]
