"""How often to ask, how much to ask for, how long to wait after trouble."""

from __future__ import annotations

import random

_JITTER = 0.2


def _about(seconds: float) -> float:
    """Vary at random, so that workers started together do not ask together."""
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - jitter, not a secret


class Waits:
    """Waits that grow from the shortest to the longest, until something happens."""

    def __init__(self, shortest: float, longest: float, factor: float) -> None:
        self._shortest = self._next = shortest
        self._longest = longest
        self._factor = factor

    def restart(self) -> None:
        """Begin with the shortest again."""
        self._next = self._shortest

    def next(self) -> float:
        """Seconds to wait now."""
        current, self._next = self._next, min(self._next * self._factor, self._longest)
        return _about(current)


def polling() -> Waits:
    """Between claims that found nothing: short after work, longer when idle."""
    return Waits(0.02, 0.5, 1.5)


def backoff() -> Waits:
    """After the database failed; however long that was, it is used again within five seconds of its return."""
    return Waits(0.1, 4.0, 2.0)


LOOK_AGAIN_SECONDS = 1.0
"""How often one who waits for others looks whether it waits in vain."""

GATHER_SECONDS = 0.005
"""After a claim that found less than it asked for: let a few more arrive, or each costs a claim of its own."""


class Prefetch:
    """How many messages to hold ready: what the senders take in a fifth of a second.

    More would only age under the lease, fewer would make each claim's fixed cost felt.
    """

    SECONDS = 0.2
    MOST = 2000

    def __init__(self, concurrency: int) -> None:
        self._least = concurrency
        self._rate = 0.0

    @property
    def size(self) -> int:
        """Messages to hold."""
        return int(min(max(self._least, self._rate * self.SECONDS), max(self.MOST, self._least)))

    def observe(self, sent: int, seconds: float) -> None:
        """Take in what the senders did since the last claim."""
        if seconds > 0:
            self._rate += (sent / seconds - self._rate) / 2
