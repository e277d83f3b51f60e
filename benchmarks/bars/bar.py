"""A bar, and what was measured for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One figure, and what it must not exceed or fall below."""

    what: str
    measured: float
    most: float | None = None
    least: float | None = None
    unit: str = ""
    timed: bool = False
    """Whether it depends on what else the machine does."""

    def holds(self, slack: float = 1.0) -> bool:
        """Whether the bar is reached; a timed figure may miss it by the factor `slack`."""
        factor = slack if self.timed else 1.0
        if self.most is not None and self.measured > self.most * factor:
            return False
        return self.least is None or self.measured >= self.least / factor

    @property
    def wanted(self) -> str:
        """The bar, for people."""
        if self.most is not None:
            return f"<= {self.most:g}{self.unit}"
        return f">= {self.least:g}{self.unit}" if self.least is not None else ""


@dataclass(frozen=True)
class Bar:
    """Something to measure, on some kinds of databases."""

    name: str
    measure: Callable[..., Iterator[Figure]]
    """Takes a fresh `Database` with our tables, and sizes by name; the default ones are the long form's."""
    kinds: tuple[str, ...] = ("sqlite", "postgresql", "mariadb")
    short: Mapping[str, Any] = field(default_factory=dict)
    """The sizes of the short form."""
