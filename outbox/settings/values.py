"""Text to value: durations, sizes, rates, lists. Each error says what was expected, and repeats nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+)(B|KiB|MiB)?", re.ASCII)
_BYTES = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024 * 1024}
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)/(s|m|h)", re.ASCII)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


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


CENTURY = 100 * 365 * 86400.0
"""Seconds. Databases cannot reckon with much longer times."""


def retention(text: str) -> float:
    """Seconds in a duration or in `0`; infinite for `forever`, which may be written `-1`."""
    word = text.strip().lower()
    if word in {"forever", "-1"}:
        return math.inf
    try:
        seconds = 0.0 if word == "0" else duration(text)
    except ValueError:
        seconds = math.inf
    if seconds > CENTURY:
        msg = "expected a number and a unit, such as 12h or 30d, less than a century, or 0, or forever"
        raise ValueError(msg)
    return seconds


def show_retention(seconds: float) -> str:
    """The shortest text that `retention` reads back as the same number of seconds."""
    if math.isinf(seconds):
        return "forever"
    return show_duration(seconds) if seconds else "0"


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


def count(text: str) -> int:
    """A whole number, zero included."""
    return 0 if text.strip() == "0" else positive(text)


def port(text: str) -> int:
    """A TCP port; 0 for any that is free."""
    if not re.fullmatch(r"\d{1,5}", text.strip(), re.ASCII) or int(text) > 65535:
        msg = "expected a port from 0 to 65535"
        raise ValueError(msg)
    return int(text)


def rate(text: str) -> float | None:
    """Messages a second in `50/s`, `3000/m` or `100/h`; `none` for no limit."""
    if text.strip().lower() == "none":
        return None
    found = _RATE.fullmatch(text.strip())
    if found is None or float(found[1]) == 0:
        msg = "expected a number above zero and a unit, such as 50/s, 3000/m or 100/h, or none"
        raise ValueError(msg)
    return float(found[1]) / _SECONDS[found[2]]


def show_rate(a_second: float) -> str:
    """The shortest text that `rate` reads back as the same rate."""
    for unit in ("s", "m", "h"):
        number = a_second * _SECONDS[unit]
        if number >= 1 and math.isclose(number, round(number)):
            return f"{round(number)}/{unit}"
    return f"{a_second:.9f}".rstrip("0") + "/s"


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


def proxy(text: str) -> str | None:
    """The URL of a proxy, or `none`. It may hold a user name and a password: an error does not repeat it."""
    url = text.strip()
    if url.lower() == "none":
        return None
    try:
        parts = urlsplit(url)
        right = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        right = False
    if not right or parts.path not in {"", "/"} or parts.query or parts.fragment or not url.isprintable() or " " in url:
        msg = "expected http:// or https:// with the proxy's host and port, or none"
        raise ValueError(msg)
    return url


def headers(given: str | Mapping[str, object]) -> dict[str, str]:
    """Headers in `Name: value; Other: value`, or in a table of TOML's, whose values may hold semicolons."""
    if isinstance(given, Mapping):
        pairs = [(name, str(value)) for name, value in given.items()]
    else:
        pairs = [(name, value) for name, _, value in (each.partition(":") for each in given.split(";") if each.strip())]
    found: dict[str, str] = {}
    for name, value in ((name.strip(), value.strip()) for name, value in pairs):
        if not _HEADER_NAME.fullmatch(name) or not value or not _HEADER_VALUE.fullmatch(value):
            msg = "expected headers such as X-Tenant: 42; Authorization: Bearer abc, in ASCII"
            raise ValueError(msg)
        if name.lower() in map(str.lower, found):
            msg = f"{name} is there twice"
            raise ValueError(msg)
        found[name] = value
    return found


def hidden(_value: object) -> str:
    """Instead of a secret."""
    return "***"


def hidden_headers(found: Mapping[str, str]) -> str:
    """The names of headers, their values hidden."""
    return "; ".join(f"{name}: ***" for name in found)


def hidden_in_url(url: str) -> str:
    """A URL without what may be a secret: a user name, a password, a query."""
    return re.sub(r"\?.*", "?***", re.sub(r"(?<=://)[^/?#]*@", "***@", url), count=1, flags=re.DOTALL)
