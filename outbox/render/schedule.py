"""The times of a message's attempts, for people."""

from __future__ import annotations

from outbox.policy import Moment, Times
from outbox.render.screen import line
from outbox.render.table import Column, table

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def show_times(times: Times) -> None:
    """Print a line for each attempt, and what follows the last one."""
    columns = (Column("ATTEMPT", right=True), Column("EARLIEST", right=True), Column("LATEST", right=True))
    table(columns, [(each.attempt, length(each.earliest), length(each.latest)) for each in times.attempts])
    line("")
    line(_end(times.attempts[-1], ends=times.ends))


def _end(last: Moment, *, ends: bool) -> str:
    if not ends:
        return f"It goes on: {last.attempt} attempts are shown."
    when = "at once" if not last.latest else f"{length(last.earliest)} to {length(last.latest)} after it was first due"
    return f"Given up after attempt {last.attempt}, {when}."


def length(seconds: float) -> str:
    """A length of time in its two greatest units, rounded: `4 s`, `4 min 28 s`, `3 d 22 h`."""
    if seconds < 10:
        return f"{seconds:.3g} s"
    place = next((place for place, (_, unit) in enumerate(_UNITS) if seconds >= unit), len(_UNITS) - 1)
    if place == len(_UNITS) - 1:
        return f"{round(seconds)} s"
    (large, size), (small, part) = _UNITS[place : place + 2]
    whole, rest = divmod(round(seconds / part), size // part)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"
