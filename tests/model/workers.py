"""What a worker has in memory: its holds, each a message that it has claimed and what has become of it here."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from functools import cache
from typing import NamedTuple

from model.rows import EXPIRED, LEASE


class Phase(IntEnum):
    """How far a claimed message has come in its worker."""

    QUEUED = 0
    UNSENT = 1
    """To be released."""
    SENT = 2
    """The POST has begun and has not arrived."""
    ARRIVED = 3
    """The destination has processed it; the worker has no answer yet."""
    ACCEPTED = 4
    """2xx: to be settled as delivered."""
    REFUSED = 5
    """To be sent again on the schedule."""
    REJECTED = 6
    """To be failed."""
    DOUBTED = 7
    """To be failed as `unknown`: it asked to be parked in doubt."""


class Part(IntEnum):
    """What the worker's open transaction does with a hold's row."""

    NONE = 0
    CLAIM = 1
    DOOM = 2
    """Claim and fail at once, for what earlier claims tell of it."""
    WRITE = 3
    """Settle or release."""
    LANDED = 4
    """Nothing: the outcome was settled before."""
    LOST = 5
    """Nothing: the lease was lost."""


class Token(IntEnum):
    """Whose token is on a hold's row."""

    MINE = 0
    ANOTHERS = 1
    CLEARED = 2
    """Nobody's, and mine was the last."""


class Hold(NamedTuple):
    """A claimed message in a worker's memory."""

    message: int
    phase: Phase = Phase.QUEUED
    part: Part = Part.NONE
    token: Token = Token.MINE
    lease: int = LEASE
    """Ticks left by the worker's own clock."""
    age: int = 0
    """Ticks since its POST began."""


class Worker(NamedTuple):
    """A worker. The holds stand in the order in which they were claimed."""

    holds: tuple[Hold, ...] = ()
    mark: int = 0
    """The place from which the next scan goes on."""
    alone: bool = False
    """It has a suspect in hand, and claims nothing beside it."""
    frozen: bool = False


IN_FLIGHT = (Phase.SENT, Phase.ARRIVED)
OUTCOMES = (Phase.ACCEPTED, Phase.REFUSED, Phase.REJECTED, Phase.DOUBTED)
LOCKING = (Part.CLAIM, Part.DOOM, Part.WRITE)
CLAIMING = (Part.CLAIM, Part.DOOM)


def bits(messages: Iterable[int]) -> int:
    """A set of messages, a bit each."""
    return sum(1 << message for message in messages)


@cache
def locks(worker: Worker) -> int:
    """The rows that its open transaction has locked."""
    return bits({hold.message for hold in worker.holds if hold.part in LOCKING})


@cache
def is_writing(worker: Worker) -> bool:
    """Whether a transaction of its is open."""
    return any(hold.part for hold in worker.holds)


def with_holds(worker: Worker, holds: Iterable[Hold]) -> Worker:
    """The worker with other holds; with none left it need be alone no more."""
    kept = tuple(holds)
    return worker._replace(holds=kept, alone=worker.alone and bool(kept))


def with_hold(worker: Worker, place: int, hold: Hold) -> Worker:
    """The worker with one hold changed."""
    return worker._replace(holds=(*worker.holds[:place], hold, *worker.holds[place + 1 :]))


@cache
def without_tokens(worker: Worker, taken: int) -> Worker:
    """The worker, after somebody took its token off those rows. A claim that is yet to be written will write its own."""
    return worker._replace(
        holds=tuple(
            hold._replace(token=Token.ANOTHERS) if taken >> hold.message & 1 and hold.part not in CLAIMING else hold
            for hold in worker.holds
        )
    )


@cache
def rolled_back(worker: Worker) -> Worker:
    """The worker, when its transaction failed: what was claimed is not, what was settled is to be settled again."""
    return with_holds(worker, filter(None, map(_rolled_back, worker.holds)))


def _rolled_back(hold: Hold) -> Hold | None:
    if hold.part not in CLAIMING:
        return hold._replace(part=Part.NONE)
    if hold.phase in (Phase.QUEUED, Phase.UNSENT):
        return None
    return hold._replace(part=Part.NONE, token=Token.ANOTHERS)  # sent before its claim was committed


@cache
def hurries(worker: Worker) -> bool:
    """Whether a living worker would do something before the next tick: end what it has begun, or give back the rest."""
    return not worker.frozen and any(
        hold.age >= 1 if hold.phase >= Phase.SENT else hold.lease <= 1 for hold in worker.holds
    )


@cache
def slept(worker: Worker) -> Worker:
    """A tick later."""
    return worker._replace(holds=tuple(map(_older, worker.holds)))


def _older(hold: Hold) -> Hold:
    age = 1 if hold.phase >= Phase.SENT else 0
    return hold._replace(lease=max(EXPIRED, hold.lease - 1), age=age)
