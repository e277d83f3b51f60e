"""Settings: one dataclass, and the only reader of the environment."""

from outbox.settings.fields import DEFAULT_ENDPOINT, Settings, variable
from outbox.settings.load import Loaded, load, unknown_variables

__all__ = ["DEFAULT_ENDPOINT", "Loaded", "Settings", "load", "unknown_variables", "variable"]
