"""What the worker says: one line for each change that a person should know of; repeats are counted."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from enum import Enum

from outbox.clock import lease_clock
from outbox.errors import OutboxError
from outbox.message import Delivered, Failed, Message, Outcome
from outbox.store import Settled, Settlement

logger = logging.getLogger("outbox.worker")

_DIGITS = re.compile(r"\d+")

QUIET_SECONDS = 10.0
"""The same line is said again after this long at the earliest, with the number of repeats."""


@dataclass(slots=True)
class Counts:
    """What a worker has settled since it started."""

    delivered: int = 0
    rescheduled: int = 0
    failed: int = 0
    released: int = 0
    lease_lost: int = 0
    due: int = 0
    """What was due when a drain began."""

    @property
    def settled(self) -> int:
        """Messages that are not due any more because of this worker."""
        return self.delivered + self.rescheduled + self.failed

    def __str__(self) -> str:
        return (
            f"{self.delivered} delivered, {self.rescheduled} rescheduled, {self.failed} failed, "
            f"{self.released} released, {self.lease_lost} lease lost"
        )


class Doing(Enum):
    """What the database was asked to do. On a full disk, say, it finds messages and settles none."""

    CLAIM = "claim"
    SETTLE = "settle"


class Repeats:
    """Counts lines that repeat, and lets one through now and then."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[float, int]] = {}

    def say(self, level: int, key: str, text: str, count: int = 1) -> None:
        """Log `text`, or count it when `key` was said a moment ago."""
        now = lease_clock()
        if len(self._said) > 1000:
            self._said.clear()
        said, held = self._said.get(key, (-QUIET_SECONDS, 0))
        if now - said < QUIET_SECONDS:
            self._said[key] = (said, held + count)
            return
        total = held + count
        logger.log(level, "%s%s", text, f" ({total} messages)" if total > 1 else "")
        self._said[key] = (now, 0)


class Report:
    """The counts, and the lines of the log that go with them."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._repeats = Repeats()
        self._down: dict[Doing, set[str]] = {}

    def settled(self, group: list[Settlement], released: int, result: Settled) -> None:
        """Take in a group that the store has written."""
        missed = {message.id for message, _ in (*result.lost, *result.locked)}
        for message, outcome in group:
            if not missed or message.id not in missed:
                self._count(message, outcome)
        self.counts.released += released
        self.counts.lease_lost += len(result.lost)
        if result.lost:
            text = f"lease lost: another worker took over {result.lost[0][0].id} while it was being sent here"
            self._repeats.say(logging.WARNING, "lease", text, len(result.lost))

    def _count(self, message: Message, outcome: Outcome) -> None:
        if type(outcome) is Delivered:
            self.counts.delivered += 1
        elif isinstance(outcome, Failed):
            self.counts.failed += 1
            text = f"failed ({outcome.reason.value}): {message.name} {message.id}: {outcome.attempt.error}"
            self._repeats.say(logging.WARNING, f"failed {outcome.reason.value} {outcome.attempt.error}", text)
        else:
            self.counts.rescheduled += 1
            text = f"will try again: {message.name} {message.id}: {outcome.attempt.error}"  # type: ignore[union-attr]
            self._repeats.say(logging.INFO, f"retry {outcome.attempt.error}", text)  # type: ignore[union-attr]

    def trouble(self, doing: Doing, trouble: OutboxError) -> None:
        """Say that the database is in trouble: each trouble once, until it works again.

        What differs in its numbers alone (a process, a port, a place in a file) is the same trouble.
        """
        kind = _DIGITS.sub("0", str(trouble))
        if not any(kind in said for said in self._down.values()):
            logger.error("waiting: %s", trouble)
        self._down.setdefault(doing, set()).add(kind)

    def works(self, doing: Doing) -> None:
        """Say that the database works again, if it did not: when all works that had failed."""
        if self._down.pop(doing, None) and not self._down:
            logger.warning("the database works again")
