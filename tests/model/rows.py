"""A message's row, and what each write makes of it. Fields behind `locked` are the search's notes: nobody reads them."""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import NamedTuple

LEASE = 2
"""Ticks that a new lease lasts."""

EXPIRED = 0
FREE = -1
"""No claim that is not settled yet: `claimed_until` is null."""


class State(IntEnum):
    """Where a message stands, and what its producer's transaction has come to."""

    ABSENT = 0
    OPEN = 1
    """Inserted by a transaction that has not committed."""
    PENDING = 2
    DELIVERED = 3
    FAILED = 4
    ROLLED_BACK = 5


COMMITTED = (State.PENDING, State.DELIVERED, State.FAILED)


class Reason(IntEnum):
    """Why a message is failed."""

    NONE = 0
    REJECTED = 1
    UNKNOWN = 2
    WORKER_LOST = 3


class Row(NamedTuple):
    """One message. Its place in the order is its place among the rows."""

    state: State = State.PENDING
    due: bool = True
    lost: int = 0
    lease: int = FREE
    reason: Reason = Reason.NONE
    locked: bool = False
    """Somebody who is no worker has locked the row."""

    received: bool = False
    """The destination has processed it."""
    spare: int = 1
    """Times that the destination may yet process it: one, and one for each cause of a duplicate."""
    owed: int = 0
    """Answers that may be charged, less charges."""
    end: State = State.PENDING
    """What a settle has made of it. Only an operator may change it."""
    has_failed: bool = False
    waited: bool = False
    """It stood in a worker's queue when another message killed that worker (noted of messages to be parked)."""
    deaths: int = 0
    """Workers that it has killed; 4 stands for more than three."""
    before: int = 0
    """The messages of its key (a bit each) that had been committed when it was enqueued."""
    misreported: bool = False
    """A worker has said that its lease was lost, although its settle had landed."""


Rows = tuple[Row, ...]


def change(rows: Rows, message: int, row: Row) -> Rows:
    """The rows, with another one in that place."""
    return (*rows[:message], row, *rows[message + 1 :])


@cache
def claimed(row: Row, lease: int, *, counts: bool = True) -> Row:
    """Claim: a claim over a claim that was never settled adds one to `lost`."""
    return row._replace(lost=row.lost + (counts and row.lease != FREE), lease=lease)


@cache
def released(row: Row) -> Row:
    """Release: free again, nothing charged."""
    return row._replace(lease=FREE)


@cache
def delivered(row: Row) -> Row:
    """Settle: the destination took it."""
    return _settled(row, State.DELIVERED)._replace(due=True, owed=0)


@cache
def rescheduled(row: Row) -> Row:
    """Settle: charged, and due again later."""
    return row._replace(state=State.PENDING, due=False, lost=0, lease=FREE, owed=row.owed - 1)


@cache
def failed(row: Row, reason: Reason) -> Row:
    """Settle: given up."""
    return _settled(row, State.FAILED)._replace(reason=reason, has_failed=True)


def _settled(row: Row, state: State) -> Row:
    return row._replace(state=state, lost=0, lease=FREE, end=state if row.end == State.PENDING else row.end)


@cache
def retried(row: Row) -> Row:
    """An operator sends it again: pending, due now, nothing held against it."""
    fresh = row._replace(state=State.PENDING, due=True, lost=0, lease=FREE, reason=Reason.NONE)
    if row.state == State.FAILED:
        return fresh._replace(end=State.PENDING, spare=row.spare + 1)
    return fresh


@cache
def received(row: Row) -> Row:
    """The destination processes it."""
    return row._replace(received=True, spare=row.spare - 1)


@cache
def doubled(row: Row) -> Row:
    """Something has happened that may double it."""
    return row._replace(spare=row.spare + 1)


@cache
def older(row: Row) -> Row:
    """A tick later: leases run out, what was to be sent later is due."""
    return row._replace(lease=row.lease - 1 if row.lease > EXPIRED else row.lease, due=True)
