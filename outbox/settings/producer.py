"""The few settings that the application's own process needs, read anew only when the environment has changed."""

from __future__ import annotations

import os
from typing import NamedTuple

from outbox.settings.fields import variable
from outbox.settings.load import load

_NAMES = ("project_id", "max_body", "occurred_at_property", "allow_names")
_VARIABLES = (
    *(variable(name) for name in _NAMES),
    *(f"{variable(name)}_FILE" for name in _NAMES),
    "OUTBOX_CONFIG",
    "CREDENTIALS_DIRECTORY",
)


class ProducerSettings(NamedTuple):
    """What `outbox.enqueue` can be told by configuration."""

    project_id: str | None
    max_body: int
    occurred_at_property: str | None
    allow_names: frozenset[str]


_Raw = tuple[str | bytes | None, ...]
_read: tuple[_Raw, ProducerSettings] | None = None


def producer_settings() -> ProducerSettings:
    """The settings of the producer. Raises `ConfigurationError`.

    A changed variable is seen by the next call; a file that a variable names is read again only after one of the
    variables has changed.
    """
    global _read  # noqa: PLW0603 - one tuple, replaced whole: threads see the old or the new one
    raw = _raw()
    read = _read
    if read is None or read[0] != raw:
        settings = load(only=_NAMES).settings
        read = (
            raw,
            ProducerSettings(
                settings.project_id, settings.max_body, settings.occurred_at_property, frozenset(settings.allow_names)
            ),
        )
        _read = read
    return read[1]


def _raw() -> _Raw:
    # `os.environ.get` raises and catches a KeyError inside for each unset variable: 5.5 µs for ten, on every
    # enqueue; the dict behind it answers in 0.4 µs (measured).
    data = getattr(os.environ, "_data", None)
    return tuple(map(os.environ.get, _VARIABLES)) if data is None else tuple(map(data.get, _ENCODED))


_encode = getattr(os.environ, "encodekey", str)
_ENCODED = tuple(_encode(name) for name in _VARIABLES)
