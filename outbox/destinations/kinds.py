"""Which class a destination is of: its kind, built in or another package's by entry point."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from outbox.destinations.overcentric import Overcentric
from outbox.destinations.request import Destination
from outbox.errors import ConfigurationError, did_you_mean
from outbox.settings import DestinationSettings

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Factory: TypeAlias = "Callable[[DestinationSettings], Destination]"

GROUP = "outbox.destinations"
"""The group of entry points. An entry point's name is the kind, its object a factory."""


def make(settings: DestinationSettings) -> Destination:
    """Make a destination of its kind. Raises `ConfigurationError` for a kind that is not there."""
    return _factory(settings)(settings)


def _factory(settings: DestinationSettings) -> Factory:
    if settings.kind == "overcentric":
        return Overcentric
    if settings.kind == "webhook":
        from outbox.destinations.webhook import Webhook

        return Webhook
    # Looking through everything that is installed takes milliseconds: not before it is needed.
    from importlib.metadata import entry_points

    found = entry_points(group=GROUP)
    for each in found.select(name=settings.kind):
        return _loaded(each)
    raise _unknown(settings, found.names)


def _loaded(point: EntryPoint) -> Factory:
    try:
        return point.load()  # type: ignore[no-any-return]
    except Exception as error:
        msg = f"the destination kind {point.name} cannot be loaded from {point.value}: {type(error).__name__}: {error}"
        raise ConfigurationError(msg, hint="Repair or reinstall the package that it comes with.") from error


def _unknown(settings: DestinationSettings, plugins: Iterable[str]) -> ConfigurationError:
    known = sorted({"overcentric", "webhook", *plugins})
    msg = f"{settings.variable('kind')} is {settings.kind}, which is no kind of destination"
    hint = f"There are: {', '.join(known)}. Others come with a package that has an entry point of {GROUP}."
    return ConfigurationError(f"{msg}{did_you_mean(settings.kind, known)}", hint=hint)
