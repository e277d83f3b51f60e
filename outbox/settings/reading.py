"""How one setting is written: what `Settings`, the destinations' own settings, the docs and the errors have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reading:
    """How one setting is written."""

    doc: str
    parse: Callable[[str], Any] = str
    show: Callable[[Any], str] = str
    """The value as text, with nothing secret in it."""
    example: str = ""
    secret: bool = False
    """Whether an error must not repeat what was given."""
