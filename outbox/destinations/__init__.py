"""Destinations: what they accept, and what they are sent. Pure: no connection is opened here.

`DestinationSettings` is what one is told; `make` is how it comes to be; `Destination` is what it has to do. A plugin
needs nothing but these names: see docs/destinations.md.
"""

from outbox.destinations.headers import configured
from outbox.destinations.kinds import make
from outbox.destinations.overcentric import Overcentric
from outbox.destinations.payload import json_body, name_of
from outbox.destinations.request import USER_AGENT, Destination, Request, authority, checked
from outbox.event import Encoded
from outbox.message import Message
from outbox.settings import DestinationSettings

__all__ = [
    "USER_AGENT",
    "Destination",
    "DestinationSettings",
    "Encoded",
    "Message",
    "Overcentric",
    "Request",
    "authority",
    "checked",
    "configured",
    "json_body",
    "make",
    "name_of",
]
