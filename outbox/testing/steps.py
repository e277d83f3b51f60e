"""One step of a script: how the fake destination treats one request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What is done with a request."""

    OK = "ok"
    """Validate the body as documented: 200, or 400 with the problems. The default."""

    STATUS = "status"
    """Answer that status, whatever the body."""

    RESET_EARLY = "reset-early"
    """Reset the connection once the headers are read, before the body is."""

    RESET = "reset"
    """Read the whole request, then reset the connection."""

    RESET_MID = "reset-mid"
    """Send half of a 200 answer, then reset."""

    CLOSE = "close"
    """Read the whole request, then close without an answer."""

    CLOSE_MID = "close-mid"
    """Send half of a 200 answer, then close: shorter than its Content-Length."""

    HANG = "hang"
    """Never answer, and keep the connection open."""

    GARBAGE = "garbage"
    """Answer with bytes that are not HTTP, then close."""

    TRICKLE = "trickle"
    """Send a 200 answer one byte at a time."""

    ENDLESS_HEADERS = "endless-headers"
    """Begin a 200 answer whose headers never end."""

    ENDLESS_BODY = "endless-body"
    """Begin a 200 answer whose chunked body never ends."""

    ENDLESS_1XX = "endless-1xx"
    """Send interim answers (102) for ever, and never the final one."""


PACED = frozenset({Action.TRICKLE, Action.ENDLESS_HEADERS, Action.ENDLESS_BODY, Action.ENDLESS_1XX})
"""Actions that go on over time: `every` is their pace."""

SIZED = frozenset({Action.OK, Action.STATUS, Action.TRICKLE, Action.RESET_MID, Action.CLOSE_MID})
"""Actions whose answer has a body of a definite length: `size` sets it."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do with one request. `Step(Action.STATUS, 503, delay=(1, 3))` answers 503 after 1 to 3 seconds."""

    action: Action = Action.OK
    status: int = 200
    delay: tuple[float, float] = (0.0, 0.0)
    """Seconds between the end of the request and what follows, drawn evenly from this range."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers of the answer."""
    retry_after: float | None = None
    """Send `Retry-After` as an HTTP date that many seconds from now. (As a number: put it in `headers`.)"""
    size: int | None = None
    """Length of the answer's body in bytes, instead of the usual small JSON object."""
    every: float = 0.2
    """Seconds between two pieces, for the actions that go on over time."""

    @property
    def accepts(self) -> bool:
        """Whether the sender is told, in a whole answer, that the event was taken."""
        return self.action in _ANSWERING and 200 <= self.status < 300

    @property
    def label(self) -> str:
        """How the answer is recorded: the status, or the name of the misbehaviour."""
        return str(self.status) if self.action in _PLAIN else str(self.action)


_PLAIN = frozenset({Action.OK, Action.STATUS})
_ANSWERING = _PLAIN | {Action.TRICKLE}

OK = Step()
