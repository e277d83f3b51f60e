"""Text to value: durations, sizes, lists. Each error says what was expected."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+)(B|KiB|MiB)?", re.ASCII)
_BYTES = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024 * 1024}


def duration(text: str) -> float:
    """Seconds in `200ms`, `30s`, `5m`, `2h` or `7d`."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        msg = "expected a number and a unit, such as 200ms, 30s, 5m, 2h or 7d"
        raise ValueError(msg)
    return float(found[1]) * _SECONDS[found[2]]


def durations(text: str) -> tuple[float, ...]:
    """Seconds in a list such as `5s,30s,5m`."""
    return tuple(duration(part) for part in text.split(","))


def positive_duration(text: str) -> float:
    """A duration above zero."""
    seconds = duration(text)
    if seconds <= 0:
        msg = "expected a duration above zero"
        raise ValueError(msg)
    return seconds


def show_duration(seconds: float) -> str:
    """The shortest text that `duration` reads back as the same number of seconds."""
    for unit in ("d", "h", "m", "s"):
        count = seconds / _SECONDS[unit]
        if count >= 1 and math.isclose(count, round(count)):
            return f"{round(count)}{unit}"
    return f"{seconds * 1000:g}ms" if seconds < 1 else f"{seconds:g}s"


def show_durations(seconds: tuple[float, ...]) -> str:
    """The text of a list of durations."""
    return ",".join(show_duration(each) for each in seconds)


def size(text: str) -> int:
    """Bytes in `262144`, `256KiB` or `1MiB`."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        msg = "expected a number of bytes above zero, such as 262144, 256KiB or 1MiB"
        raise ValueError(msg)
    return int(found[1]) * _BYTES[found[2]]


def show_size(count: int) -> str:
    """The shortest text that `size` reads back as the same number of bytes."""
    for unit in ("MiB", "KiB"):
        if count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]}{unit}"
    return str(count)


def positive(text: str) -> int:
    """A whole number above zero."""
    if not re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII) or int(text) == 0:
        msg = "expected a whole number above zero"
        raise ValueError(msg)
    return int(text)


def names(text: str) -> tuple[str, ...]:
    """A list of names separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def one_of(*allowed: str) -> Callable[[str], str]:
    """Make a parser for one of a few words, whatever their case."""

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in allowed:
            msg = f"expected one of {', '.join(allowed)}"
            raise ValueError(msg)
        return word

    return parse
