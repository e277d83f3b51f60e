"""A streak: how many different messages in a row tell that a destination is at fault, and not they.

What is in flight at once does not come back in the order in which it was sent. Where one place of several behind a load
balancer fails, its failures overtake the successes of the others, or all come after them. So a streak must be as long as
what is still in flight and may be about to end it, and what was sent before something worked is no part of it.
"""

from __future__ import annotations

import math

from outbox.clock import lease_clock


class Streak:
    """Counts different messages that failed in a row; anything that worked in between ends it.

    `enough`: how many make a streak; 0 for never.
    """

    def __init__(self, enough: int) -> None:
        self._enough = enough
        self._ids: set[str] = set()
        self._began = 0.0
        self._worked = -math.inf

    def __len__(self) -> int:
        """How many different messages have failed since something worked."""
        return len(self._ids)

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return lease_clock() - self._began if self._ids else 0.0

    def add(self, message: str, began: float, in_flight: int) -> bool:
        """Count a message whose attempt began at `began`, on `lease_clock`; whether they are enough now.

        `in_flight`: how many others have been sent and not come back yet.
        """
        if not self._enough or began < self._worked:
            return False
        self._began = min(self._began, began) if self._ids else began
        self._ids.add(message)
        return len(self._ids) >= max(self._enough, in_flight)

    def end(self) -> None:
        """Begin anew, with what is sent from now on."""
        self._worked = lease_clock()
        self._ids.clear()
