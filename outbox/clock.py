"""The worker's own clock, for leases. What is due and what has expired only the database says."""

from __future__ import annotations

import time

DEAD_AFTER_SECONDS = 60.0
"""A worker that has not come round for so long is taken for dead. One that waits for a silent database takes up to half
of it for a round."""

_CLOCK = getattr(time, "CLOCK_BOOTTIME", None) or time.CLOCK_MONOTONIC


def lease_clock() -> float:
    """Seconds on a clock that never steps and, on Linux, also runs while the machine sleeps.

    A laptop that slept through its lease must not believe that it still holds it.
    """
    return time.clock_gettime(_CLOCK)
