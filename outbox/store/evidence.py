"""What earlier claims tell of a message: a worker's death is evidence against it, not a charge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, Row, case

from outbox.message import Attempt, Certainty, Failed, FailureReason, OnUnknown
from outbox.schema import message
from outbox.store.statements import IS_HELD

SUSPECT = 2
"""Claims lost with their worker after which a message is claimed alone."""

LOST = 3
"""Claims lost with their worker after which a message is failed (`worker_lost`)."""

LOSSES = message.c.lost + case((IS_HELD, 1), else_=0)
"""Claims lost so far, the one that has just expired included."""


class Choice(Enum):
    """Which of the due messages to claim."""

    ANY = "any"
    """All but suspects; says whether there are any."""
    CALM = "calm"
    """Only those that are no suspects, however many of them stand before."""
    SUSPECT = "suspect"
    """Only suspects, for a worker that has nothing else in hand."""

    @property
    def conditions(self) -> Sequence[ColumnElement[bool]]:
        """What a row must fulfil to be looked at."""
        if self is Choice.ANY:
            return ()
        return (LOSSES >= SUSPECT if self is Choice.SUSPECT else LOSSES < SUSPECT,)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rows of a claim, sorted out."""

    taken: Sequence[Row[Any]]
    doomed: Sequence[Row[Any]] = ()
    """Rows to give up."""
    suspects: bool = False
    left: int | None = None
    """The place of the first row that was left because no sender is free for it."""


def choose(rows: Sequence[Row[Any]], choice: Choice, free: int) -> Chosen:
    """Sort out rows that could be claimed.

    `free` is the number of senders that wait for work. Messages to be parked in doubt are taken only for those: a
    queued one would be parked for nothing if the worker died.
    """
    if not any(row.lost or row.expired or row.on_unknown == OnUnknown.PARK for row in rows):
        return Chosen(rows)
    doomed = [row for row in rows if _is_doomed(row)]
    alive = [row for row in rows if not _is_doomed(row)]
    calm = alive if choice is Choice.SUSPECT else [row for row in alive if _losses(row) < SUSPECT]
    taken = [row for place, row in enumerate(calm) if place < free or row.on_unknown != OnUnknown.PARK]
    left = next((row for row in calm[free:] if row.on_unknown == OnUnknown.PARK), None)
    suspects = bool(alive) if choice is Choice.SUSPECT else len(calm) < len(alive)
    return Chosen(taken, doomed, suspects, None if left is None else rows.index(left))


def last_words(row: Row[Any], now: float) -> Failed:
    """Why a doomed row is given up."""
    reason = FailureReason.WORKER_LOST if _losses(row) >= LOST else FailureReason.UNKNOWN
    times = "three times" if reason is FailureReason.WORKER_LOST else "once"
    error = f"its worker was lost {times} before it could say what became of it"
    return Failed(reason, Attempt(now, 0.0, 0, Certainty.UNKNOWN, error))


def _losses(row: Row[Any]) -> int:
    return int(row.lost) + bool(row.expired)


def _is_doomed(row: Row[Any]) -> bool:
    return _losses(row) >= LOST or bool(row.expired and row.on_unknown == OnUnknown.PARK)
