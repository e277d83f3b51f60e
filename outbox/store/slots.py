"""Sending slots: a rate that holds for the whole fleet, on the database's clock."""

from __future__ import annotations

import math
from datetime import timedelta

from sqlalchemy import Connection

from outbox.clock import lease_clock
from outbox.store.gates import Reading, lock, look, write

RAMP_SECONDS = 8.0
"""Seconds after a pause during which the rate doubles each second, beginning with the concurrency."""


def slots(
    connection: Connection, name: str, count: int, *, rate: float | None, concurrency: int, ahead: float = math.inf
) -> list[float]:
    """Hand out the next `count` times to send at, on `outbox.clock.lease_clock`; none where nothing limits the rate.

    `rate` is the most messages a second. They are spread evenly: what was not sent earlier is not made up for. No time
    is handed out that is more than `ahead` seconds away: fewer than `count`, or none, are to be had now, and more a little
    later. In the k-th second after the destination opened (from 0, for 8 s) at most `concurrency * 2**k` are handed out;
    these are not limited by `ahead`.
    """
    stands = lock(connection, name)
    # Read after the answer, so that no slot begins early.
    now = lease_clock()
    if rate is None and not _is_ramping(stands):
        return []
    row = stands.row
    place = 0.0 if row.slot_at is None else max(0.0, (row.slot_at - row.now).total_seconds())
    times: list[float] = []
    for _ in range(count):
        if rate is not None and place > ahead:
            break
        times.append(now + place)
        place += _gap(stands, place, rate, concurrency)
    write(connection, name, slot_at=row.now + timedelta(seconds=place))
    return times


def is_ramping(connection: Connection, name: str) -> bool:
    """Whether a pause has just ended, so that slots are handed out though there is no rate. Takes no lock."""
    stands = look(connection, name)
    return stands is not None and _is_ramping(stands)


def _is_ramping(stands: Reading) -> bool:
    return stands.cause is None and stands.opened < RAMP_SECONDS


def _gap(stands: Reading, place: float, rate: float | None, concurrency: int) -> float:
    """Seconds between the slot at `place` seconds from now and the next one."""
    shortest = 0.0 if rate is None else 1 / rate
    since = stands.opened + place
    if stands.cause is not None or since >= RAMP_SECONDS:
        return shortest
    return max(shortest, 1 / (concurrency << int(since)))
