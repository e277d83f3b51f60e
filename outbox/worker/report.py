"""What the worker says: one line for each change that a person should know of; repeats are counted."""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass
from enum import Enum

from outbox.clock import lease_clock
from outbox.errors import OutboxError, SchemaOutdated
from outbox.message import Cause, Delivered, Failed, Message, Outcome
from outbox.render.traces import trace
from outbox.settings.destinations import own_variable
from outbox.settings.values import show_duration, show_retention
from outbox.store import Gate, Kept, Settled, Settlement
from outbox.worker.meter import Meter

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
    """What was due when a drain began: at least as much as it can settle."""

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
    PAUSE = "pause"
    """Recording what was found out of a destination; asking when to send to it."""
    PURGE = "purge"


class Repeats:
    """Counts lines that repeat, and lets one through now and then."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[float, int]] = {}
        self._texts: dict[str, tuple[int, str]] = {}

    def say(self, level: int, key: str, text: str, count: int = 1) -> None:
        """Log `text`, or count it when `key` was said a moment ago."""
        now = lease_clock()
        if len(self._said) > 1000:
            self.flush()
            self._texts.clear()
        said, held = self._said.get(key, (-QUIET_SECONDS, 0))
        if now - said < QUIET_SECONDS:
            self._said[key] = (said, held + count)
            return
        total = held + count
        logger.log(level, "%s%s", text, _times(total))
        self._said[key] = (now, 0)
        self._texts[key] = (level, text)

    def flush(self) -> None:
        """Say what has been counted and not said."""
        for key, (_, held) in self._said.items():
            if held:
                level, text = self._texts[key]
                logger.log(level, "%s%s", text, f" (and {held} more)")
        self._said.clear()


def _then(gate: Gate) -> str:
    """What ends a pause."""
    if math.isinf(gate.remaining):
        return f"until `outbox resume {gate.name}`"
    seconds = show_duration(math.ceil(gate.remaining))
    if gate.cause is Cause.OPERATOR:
        return f"for {seconds}"
    probes = f"one message in {seconds}, and in longer and longer times, finds out whether it works again"
    return f"is its URL right? {probes}" if gate.cause is Cause.REFUSED else probes


def _kind(trouble: OutboxError) -> str:
    """What is the same for each form of a trouble.

    Its numbers differ: a process, a port, a place in a file. While `outbox db upgrade` runs, first the file is missing,
    then the tables, then a version.
    """
    return type(trouble).__name__ if isinstance(trouble, SchemaOutdated) else _DIGITS.sub("0", str(trouble))


def _times(count: int) -> str:
    return f" ({count} times)" if count > 1 else ""


_PURGED = {
    Kept.DELIVERED: "removed %d delivered, settled more than %s ago",
    Kept.FAILED: "removed %d failed, settled more than %s ago",
    Kept.BODIES: "wiped the bodies of %d delivered more than %s ago",
    Kept.KEYS: "removed %d keys against duplicates, made more than %s ago",
}


class Report:
    """The counts, and the lines of the log that go with them."""

    def __init__(self, meter: Meter | None = None) -> None:
        self.counts = Counts()
        self.counts_backlog = False
        """Whether somebody shows the backlog, so that it is worth counting."""
        self.backlog = 0
        """What was due a moment ago, and held by no worker, counted up to `BACKLOG_MOST`."""
        self.waits_for: str | None = None
        """The database's trouble, until it works again."""
        self._meter = meter
        self._repeats = Repeats()
        self._down: dict[Doing, set[str]] = {}
        self._purges = True

    @property
    def database_works(self) -> bool:
        """Whether all that delivery asks of the database works, as far as is known. A purge that fails delays no message."""
        return not self._down.keys() - {Doing.PURGE}

    def settled(self, group: list[Settlement], released: int, result: Settled) -> None:
        """Take in a group that the store has written."""
        if result.lost or result.locked:
            missed = {message.id for message, _ in (*result.lost, *result.locked)}
            group = [each for each in group if each[0].id not in missed]
        for message, outcome in group:
            self._count(message, outcome)
        if self._meter is not None:
            self._meter.settled(group)
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

    def surprise(self, doing: str, error: Exception) -> None:
        """Say what nobody foresaw, with where it was raised: once in a while."""
        self._repeats.say(logging.ERROR, doing, f"{doing} raised:\n{trace(error)}")

    def ends(self) -> None:
        """Say what has been counted and not said."""
        self._repeats.flush()

    def paused(self, gate: Gate) -> None:
        """Say that a destination is not being sent to any more: once, however often a probe finds it so."""
        logger.warning("%s is paused by %s: %s; %s", gate.name, gate.by, gate.reason, _then(gate))

    def resumed(self, name: str) -> None:
        """Say that it is being sent to again."""
        logger.warning("%s is being sent to again", name)

    def purged(self, what: Kept, count: int, age: float) -> None:
        """Say what was too old, if anything was."""
        if count:
            logger.info(_PURGED[what], count, show_retention(age))

    def cannot_purge(self, trouble: OutboxError) -> None:
        """Say once that what is too old stays where it is."""
        if self._purges:
            logger.error("old messages stay: %s", trouble)
        self._purges = False

    def stranger(self, name: str) -> None:
        """Say that messages wait for a destination that is not configured here."""
        logger.warning("messages wait for %s, which is not configured here: set %s", name, own_variable(name, "url"))

    def away(self, name: str, error: str) -> None:
        """Say that this worker cannot reach a destination, which others perhaps can."""
        logger.error("cannot reach %s: %s; nothing is sent to it from here until a probe gets through", name, error)

    def reached(self, name: str) -> None:
        """Say that this worker reaches it again."""
        logger.warning("reaching %s again", name)

    def trouble(self, doing: Doing, trouble: OutboxError) -> None:
        """Say that the database is in trouble: each trouble once, until it works again."""
        self.waits_for = str(trouble)
        kind = _kind(trouble)
        if not any(kind in said for said in self._down.values()):
            logger.error("waiting: %s", trouble)
        self._down.setdefault(doing, set()).add(kind)

    def works(self, doing: Doing) -> None:
        """Say that the database works again, if it did not: when all works that had failed."""
        if self._down.pop(doing, None) and not self._down:
            self.waits_for = None
            logger.warning("the database works again")
