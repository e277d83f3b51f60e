"""The destinations of this process, made when the first message for them is enqueued: they encode."""

from __future__ import annotations

from outbox.destinations import Destination, make
from outbox.settings.producer import ProducerSettings

_made: tuple[ProducerSettings | None, dict[str, Destination]] = (None, {})


def encoder(settings: ProducerSettings, name: str) -> Destination:
    """The destination of that name. Raises `ConfigurationError` where it is of a kind that is not there."""
    global _made  # noqa: PLW0603 - one tuple, replaced whole: threads see the old or the new one
    made = _made
    if made[0] is not settings:
        made = _made = (settings, {})
    found = made[1].get(name)
    if found is None:
        found = made[1][name] = make(settings.destinations[name])
    return found
