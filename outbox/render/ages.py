"""Lengths of time as people say them."""

from __future__ import annotations

from datetime import datetime

# A unit, and how many seconds one is; each is used until the next one can say at least two.
_UNITS = (("d", 86400), ("h", 3600), ("min", 60))


def age(seconds: float) -> str:
    """A length of time in one unit: `3 s`, `5 min`, `2 h`, `4 d`."""
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s" if seconds >= 1 else "under 1 s"


def ago(moment: datetime, now: datetime) -> str:
    """Where a moment lies as seen from now: `3 s ago`, `in 5 min`, `just now`."""
    seconds = (now - moment).total_seconds()
    if 0 <= seconds < 1:
        return "just now"
    return f"{age(seconds)} ago" if seconds > 0 else f"in {age(-seconds)}"
