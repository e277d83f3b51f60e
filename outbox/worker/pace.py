"""How often to ask, how much to ask for, how long to wait after trouble."""

from __future__ import annotations

import random

_JITTER = 0.2


def about(seconds: float) -> float:
    """Vary at random, so that workers started together do not ask together."""
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - jitter, not a secret


class Waits:
    """Waits that grow from the shortest to the longest, until something happens."""

    def __init__(self, shortest: float, longest: float, factor: float) -> None:
        self._shortest = self._next = shortest
        self._factor = factor
        self.longest = longest
        """May be changed: it is heeded by the next wait."""

    def restart(self) -> None:
        """Begin with the shortest again."""
        self._next = self._shortest

    def next(self) -> float:
        """Seconds to wait now."""
        current = min(self._next, self.longest)
        self._next = min(self._next * self._factor, self.longest)
        return about(current)


POLLING_SECONDS = 0.15
"""Between looks of an idle worker. A look costs 0.2 to 0.5 ms of CPU, 1.5 where caches are cold (measured)."""

WATCHED_SECONDS = 0.6
"""The same, while commits are noticed. What becomes due by the clock is found by these looks, and what was not noticed."""


def polling(longest: float = WATCHED_SECONDS) -> Waits:
    """Between looks, or claims, that found nothing: short after work, longer when idle."""
    return Waits(0.01, longest, 1.3)


def backoff() -> Waits:
    """After the database failed; however long that was, it is used again within five seconds of its return."""
    return Waits(0.1, 4.0, 2.0)


LOOK_AGAIN_SECONDS = 1.0
"""How often one who waits for others looks whether it waits in vain."""

GATHER_SECONDS = 0.005
"""After a claim that found less than it asked for: let a few more arrive, or each costs a claim of its own."""

FINDING_OUT_SECONDS = 0.05
"""Between looks at what a probe has come to."""

PACED_SECONDS = 0.1
"""Between claims where sending times limit what goes out anyway."""


class Allowance:
    """How often something may be done sooner than planned: `most` times at once, `a_second` for long."""

    def __init__(self, most: int, a_second: float) -> None:
        self._span = most / a_second
        self._cost = 1 / a_second
        self._used_until = 0.0

    def earliest(self, now: float) -> float:
        """When it may be done next."""
        return max(now, self._used_until - self._span + self._cost)

    def use(self, now: float) -> None:
        """Take in that it was done."""
        self._used_until = max(self._used_until, now) + self._cost


class Prefetch:
    """How many messages to hold ready: what the senders take in a fifth of a second.

    More would only age under the lease, fewer would make each claim's fixed cost felt.
    """

    SECONDS = 0.2
    MOST = 2000
    AT_ONCE = 256
    """In one claim. While it is made settles wait, and then senders: it must not take longer than these go on without."""

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
