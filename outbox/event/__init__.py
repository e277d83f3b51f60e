"""Event and Identity: the Event API's request body, validated at the call and encoded once."""

from outbox.event.encoding import Encoded, encode
from outbox.event.model import Event, Identity
from outbox.event.names import BROWSER_NAMES, CONTEXTS, RESERVED_NAMES, Context

__all__ = ["BROWSER_NAMES", "CONTEXTS", "RESERVED_NAMES", "Context", "Encoded", "Event", "Identity", "encode"]
