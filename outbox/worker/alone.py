"""Alone: a message that may kill its worker is sent while this worker has nothing else in hand, at any destination."""

from __future__ import annotations

from outbox.worker.sending import Senders
from outbox.worker.settling import Settler


class Alone:
    """The right to have a worker for oneself; one holder at a time."""

    def __init__(self, settler: Settler) -> None:
        self.senders: list[Senders] = []
        """Those of every destination."""
        self._settler = settler
        self._holder: Senders | None = None

    @property
    def is_busy(self) -> bool:
        """Whether anything is queued, in flight or not yet settled."""
        return self._settler.is_busy or any(each.is_busy for each in self.senders)

    def is_kept_from(self, senders: Senders) -> bool:
        """Whether these must not be given anything, because others want to be alone."""
        return self._holder is not None and self._holder is not senders

    def take(self, senders: Senders) -> None:
        """Keep all others from claiming, until `leave`. Their keys' successors, too."""
        self._holder = senders
        self._settler.succeeds = False

    def leave(self, *, succeeds: bool) -> None:
        """Let others claim again."""
        self._holder = None
        self._settler.succeeds = succeeds
