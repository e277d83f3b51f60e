"""A message as the oracle knows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from outbox.message import Delivered, Failed, FailureReason, Outcome, Retry, State

Token = int
"""Stands for a claim's token; which of the database's it is, comparing finds out."""

SUSPECT = 2
LOST = 3


@dataclass
class Row:
    """A committed message."""

    id: str
    name: str
    destination: str
    key: str | None
    park: bool
    asked: int
    """When it was enqueued, on the oracle's own count of events."""
    transaction: int
    since: datetime
    """`created` and `due` were last set after this moment."""
    delay: float = 0.0
    """Seconds from then to `due`."""
    created: datetime | None = None
    """None until the database has been asked what it wrote."""
    due: datetime | None = None
    """As above."""
    committed: int = -1
    state: State = State.PENDING
    attempts: int = 0
    lost: int = 0
    token: Token | None = None
    held: bool = False
    expired: bool = False
    reason: FailureReason | None = None
    records: int = 0
    """Attempts on record."""

    @property
    def place(self) -> tuple[datetime, str]:
        """Its place in its key."""
        assert self.created is not None
        return self.created, self.id

    @property
    def pending(self) -> bool:
        """Whether it is still to be sent."""
        return self.state is State.PENDING

    def is_due(self, now: datetime) -> bool:
        """Whether it may be sent now."""
        return self.delay <= 0 if self.due is None else self.due <= now

    def is_free(self, token: Token | None = None) -> bool:
        """Whether a claim may take it: nobody holds it, or that very claim, which is being repeated."""
        return not self.held or self.expired or self.token == token

    def losses(self, token: Token | None = None) -> int:
        """Claims that ended without a settle, were that claim to come now."""
        return self.lost + self._is_loss(token)

    def is_doomed(self, token: Token) -> bool:
        """Whether a claim gives it up instead of taking it."""
        return self.losses(token) >= LOST or (self.park and self._is_loss(token))

    def lease(self, token: Token) -> None:
        """Be claimed."""
        self.lost = self.losses(token)
        self.token, self.held, self.expired = token, True, False

    def give_up(self, token: Token) -> None:
        """Be claimed for the last time."""
        reason = FailureReason.WORKER_LOST if self.losses(token) >= LOST else FailureReason.UNKNOWN
        self.lease(token)
        self._fail(reason)

    def release(self) -> None:
        """Be given back: as if it had not been claimed."""
        self.token, self.held, self.expired = None, False, False

    def settle(self, outcome: Outcome, now: datetime) -> None:
        """Be settled by who holds it. The token stays."""
        if isinstance(outcome, Failed):
            self._fail(outcome.reason)
            return
        self._end_lease()
        if isinstance(outcome, Delivered):
            self.state = State.DELIVERED
        elif isinstance(outcome, Retry):
            self.attempts += outcome.charged
            self.records += 1
            if outcome.charged:  # else it is due since when it was
                self.put_off(outcome.delay, now)

    def send_again(self, now: datetime) -> None:
        """Be retried by an operator: as if it were new, but for its place and what is on record."""
        self.state, self.reason, self.attempts, self.lost = State.PENDING, None, 0, 0
        self.release()
        self.put_off(0.0, now)

    def put_off(self, delay: float, now: datetime) -> None:
        """Be due so many seconds from a moment after `now`."""
        self.due, self.since, self.delay = None, now, delay

    def _is_loss(self, token: Token | None) -> bool:
        return self.held and self.token != token

    def _fail(self, reason: FailureReason) -> None:
        self._end_lease()
        self.state, self.reason = State.FAILED, reason
        self.attempts += 1
        self.records += 1

    def _end_lease(self) -> None:
        self.held, self.expired, self.lost = False, False, 0
