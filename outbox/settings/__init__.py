"""Settings: one dataclass, and the only reader of the environment."""

from outbox.settings.answers import Meaning
from outbox.settings.destinations import DEFAULT_ENDPOINT, OVERCENTRIC, DestinationSettings, EventSettings
from outbox.settings.fields import Settings, variable
from outbox.settings.load import Loaded, load, unknown_variables
from outbox.settings.secret_files import secret_files

__all__ = [
    "DEFAULT_ENDPOINT",
    "OVERCENTRIC",
    "DestinationSettings",
    "EventSettings",
    "Loaded",
    "Meaning",
    "Settings",
    "load",
    "secret_files",
    "unknown_variables",
    "variable",
]
