"""Settings: one dataclass, and the only reader of the environment."""

from outbox.settings.answers import Meaning
from outbox.settings.destinations import DEFAULT_ENDPOINT, OVERCENTRIC, DestinationSettings, EventSettings
from outbox.settings.fields import Settings, variable
from outbox.settings.load import Loaded, load, unknown_variables

__all__ = [
    "DEFAULT_ENDPOINT",
    "OVERCENTRIC",
    "DestinationSettings",
    "EventSettings",
    "Loaded",
    "Meaning",
    "Settings",
    "load",
    "unknown_variables",
    "variable",
]
