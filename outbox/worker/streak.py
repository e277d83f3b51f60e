"""A streak: how many different messages in a row tell that a destination is at fault, and not they."""

from __future__ import annotations

from outbox.clock import lease_clock


class Streak:
    """Counts different messages that failed in a row; anything that worked in between ends it.

    `enough`: how many make a streak; 0 for never.
    """

    def __init__(self, enough: int) -> None:
        self._enough = enough
        self._ids: set[str] = set()
        self._began = 0.0

    def __bool__(self) -> bool:
        """Whether anything has failed since something worked."""
        return bool(self._ids)

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return lease_clock() - self._began if self._ids else 0.0

    def add(self, message: str, began: float) -> bool:
        """Count a message whose attempt began at `began`, on `lease_clock`; whether they are enough now."""
        if not self._enough:
            return False
        self._began = min(self._began, began) if self._ids else began
        self._ids.add(message)
        return len(self._ids) >= self._enough

    def end(self) -> None:
        """Begin anew."""
        self._ids.clear()
