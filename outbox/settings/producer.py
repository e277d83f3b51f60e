"""The few settings that the application's own process needs, read anew only when the environment has changed."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Self

from outbox.settings.destinations import DestinationSettings, own_variable
from outbox.settings.fields import Settings, variable
from outbox.settings.load import load

PRODUCERS = ("project_id", "max_body", "occurred_at_property", "allow_names", "park", "wake")
"""The settings that count where `outbox.enqueue` is called."""

PRODUCERS_OWN = ("kind", "on_unknown")
"""Those of each destination: neither its URL nor its secret."""


class ProducerSettings(NamedTuple):
    """What `outbox.enqueue` can be told by configuration."""

    destinations: Mapping[str, DestinationSettings]
    parked: re.Pattern[str] | None
    """The names that `OUTBOX_PARK` matches."""
    wakes: bool
    """Whether to wake workers that listen."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What the settings mean to a producer."""
        patterns = [fnmatch.translate(pattern) for pattern in settings.park]
        return cls(settings.destinations, re.compile("|".join(patterns)) if patterns else None, settings.wake == "on")

    def on_unknown(self, destination: str, name: str) -> str:
        """What to do in doubt with a message of that name, where the call did not say."""
        told = self.destinations[destination].on_unknown
        return told or ("park" if self.parked and self.parked.match(name) else "retry")


_Raw = tuple[str | bytes | None, ...]


class _Read(NamedTuple):
    """What was read, and the environment that it was read from."""

    keys: tuple[str, ...]
    encoded: tuple[str | bytes, ...]
    raw: _Raw
    settings: ProducerSettings


_read: _Read | None = None


def producer_settings(destination: str = "overcentric") -> ProducerSettings:
    """The settings of the producer. Raises `ConfigurationError`.

    A changed variable is seen by the next call, also one that makes a destination; a file that a variable names is
    read again only after one of the variables has changed, or when a `destination` is not known so far.
    """
    global _read  # noqa: PLW0603 - one tuple, replaced whole: threads see the old or the new one
    read = _read
    if read is None or read.raw != _raw(read) or destination not in read.settings.destinations:
        read = _read = _read_anew()
    return read.settings


def _read_anew() -> _Read:
    environ = dict(os.environ)
    settings = ProducerSettings.of(load(environ=environ, only=PRODUCERS, own=PRODUCERS_OWN).settings)
    keys = tuple(dict.fromkeys(_keys(environ, settings.destinations)))
    encoded = tuple(_encode(key) for key in keys)
    data = getattr(os.environ, "_data", None)
    values = (environ.get(key) for key in keys)
    return _Read(
        keys,
        encoded,
        tuple(value if data is None or value is None else _encode_value(value) for value in values),
        settings,
    )


def _keys(environ: Iterable[str], destinations: Iterable[str]) -> Iterator[str]:
    """The variables that may change what was read. A new destination's are not among them: it is not known so far."""
    for key in (
        *map(variable, PRODUCERS),
        *(own_variable(name, own) for name in destinations for own in PRODUCERS_OWN),
    ):
        yield from (key, f"{key}_FILE")
    yield from (key for key in environ if key.startswith("OUTBOX_DESTINATION_"))
    yield from ("OUTBOX_CONFIG", "CREDENTIALS_DIRECTORY")


def _raw(read: _Read) -> _Raw:
    # `os.environ.get` raises and catches a KeyError inside for each unset variable: 5.5 µs for ten, on every
    # enqueue; the dict behind it answers in 0.4 µs (measured).
    data = getattr(os.environ, "_data", None)
    return tuple(map(os.environ.get, read.keys)) if data is None else tuple(map(data.get, read.encoded))


_encode = getattr(os.environ, "encodekey", str)
_encode_value = getattr(os.environ, "encodevalue", str)
