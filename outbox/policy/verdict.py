"""What each HTTP status means for the message, as a table.

The Event API documents no status codes, so they are read as RFC 9110 and RFC 6585 define them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from outbox.message import Certainty


class Action(StrEnum):
    """What follows from an answer."""

    DELIVERED = "delivered"
    """The destination took the event."""

    RETRY = "retry"
    """Send it again later, while the schedule lasts."""

    FAILED = "failed"
    """The answer judges this body: sending it again cannot help."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means."""

    action: Action
    certainty: Certainty | None
    """Whether the destination may have processed the event; None where it did."""
    destination: bool = False
    """True where the answer may judge the destination (a wrong URL, a blocked client) and not the message."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table: some statuses, what they mean, and why."""

    statuses: tuple[range, ...]
    verdict: Verdict
    why: str

    @property
    def text(self) -> str:
        """The statuses as people write them: `200-299`, `400, 413`."""
        return ", ".join(
            f"{each.start}-{each.stop - 1}" if len(each) > 1 else str(each.start) for each in self.statuses
        )


def _statuses(*wanted: int | range) -> tuple[range, ...]:
    return tuple(range(each, each + 1) if isinstance(each, int) else each for each in wanted)


STATUSES = range(100, 1000)
"""What can stand in an answer."""

NO_ANSWER = Verdict(Action.RETRY, Certainty.UNKNOWN)
"""The verdict on what is no final answer of HTTP's: retry, and it may have been processed."""

_BODY = Verdict(Action.FAILED, Certainty.REJECTED)
_LATER = Verdict(Action.RETRY, Certainty.REJECTED)
_PLACE = Verdict(Action.RETRY, Certainty.REJECTED, destination=True)

TABLE = (
    Rule(_statuses(range(200, 300)), Verdict(Action.DELIVERED, None), "accepted"),
    Rule(_statuses(range(300, 400)), _PLACE, "the endpoint has moved; redirects are never followed"),
    Rule(_statuses(408, 425, 429), _LATER, "not now"),
    Rule(_statuses(401, 403, 404, 405, 407, 410), _PLACE, "the URL is wrong or this client is not let in"),
    Rule(_statuses(range(400, 500)), _BODY, "this body is refused"),
    Rule(_statuses(range(500, 600)), Verdict(Action.RETRY, Certainty.UNKNOWN), "the destination failed"),
    Rule(_statuses(range(100, 200), range(600, 1000)), NO_ANSWER, "not a final answer of HTTP's"),
)
"""The built-in table. The first rule that names a status decides; what none names is `NO_ANSWER`."""


def verdicts(table: Sequence[Rule]) -> dict[int | None, Verdict]:
    """Give the verdict on each status that a table names."""
    return {status: rule.verdict for rule in reversed(table) for each in rule.statuses for status in each}
