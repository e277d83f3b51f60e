"""How often to ask, how much to ask for, how long to wait after trouble."""

from __future__ import annotations

import random

_JITTER = 0.2


def _about(seconds: float) -> float:
    """Vary at random, so that workers started together do not ask together."""
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - jitter, not a secret


class Poll:
    """Waits between empty claims: short after work, longer when idle."""

    SHORTEST = 0.02
    LONGEST = 0.5
    GATHER = 0.005
    """After a claim that found less than it asked for: let a few more arrive, or each costs a claim of its own."""

    def __init__(self) -> None:
        self._next = self.SHORTEST

    def found(self) -> None:
        """Start again from the shortest wait."""
        self._next = self.SHORTEST

    def wait(self) -> float:
        """Seconds until the next claim."""
        current, self._next = self._next, min(self._next * 1.5, self.LONGEST)
        return _about(current)


class Backoff:
    """Waits after the database failed: doubling, with jitter; success resets it."""

    SHORTEST = 0.1
    LONGEST = 5.0

    def __init__(self) -> None:
        self._next = self.SHORTEST

    def reset(self) -> None:
        """Start again from the shortest wait."""
        self._next = self.SHORTEST

    def wait(self) -> float:
        """Seconds until the next try."""
        current, self._next = self._next, min(self._next * 2, self.LONGEST)
        return _about(current)


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
