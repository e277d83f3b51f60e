"""Pulse: tells whoever watches over a worker that it still goes round.

A part of the worker comes round when it has done what it does, or has found that the database lets it not: a worker that
waits for its database is alive. A part that comes round no more, because the event loop hangs or a call never ends, stops
the pulse of the whole worker, whatever the others do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from outbox.clock import lease_clock

BEAT_SECONDS = 1.0
"""Between two beats at least: a busy worker goes round a hundred times a second."""


class Pulse:
    """Beats when every part has come round since the last beat."""

    def __init__(self) -> None:
        self.beaten_at = -math.inf
        """When it last beat, on `lease_clock`."""
        self._parts: set[str] = set()
        self._missing: set[str] = set()
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` at each beat, in the event loop. It must not raise, and not take long."""
        self._listeners.append(listener)

    def expect(self, parts: Iterable[str]) -> None:
        """Beat for these parts from now on."""
        self._parts = {*parts}
        self._missing = {*self._parts}

    def leave(self, part: str) -> None:
        """Beat without a part: it has ended."""
        self._parts.discard(part)
        self._missing.discard(part)

    def turn(self, part: str) -> None:
        """Take in that a part has come round."""
        self._missing.discard(part)
        if self._missing or (now := lease_clock()) - self.beaten_at < BEAT_SECONDS:
            return
        self._missing |= self._parts
        self.beaten_at = now
        for listener in self._listeners:
            listener()
