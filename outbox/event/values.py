"""Properties, and the payloads of webhooks, to plain JSON values, by one documented rule; what would be lost on the way is refused.

==========================  ==========================================================================
Python                      JSON
==========================  ==========================================================================
str, bool, None             itself; a lone surrogate is refused: it is no character
int                         itself, up to 2**53 - 1: beyond that JavaScript and others round (RFC 8259 §6)
float                       itself; NaN and the infinities are refused: JSON has none
Decimal                     a number, if a double gives back the same decimal value
datetime                    RFC 3339 in UTC, `2026-01-31T12:00:00Z`; naive ones are refused
date                        `2026-01-31`
UUID                        its text
Enum                        its value, by the same rule
list, tuple                 an array
dict, any Mapping           an object; keys are str
==========================  ==========================================================================

Nesting may be 64 deep. Anything else is refused with its path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias
from uuid import UUID

from outbox.event.moments import is_aware, rfc3339
from outbox.event.problems import Problems, described, told_key

DEEPEST = 64
SAFE_INTEGER = 2**53 - 1

Path: TypeAlias = "tuple[Path, str | int] | str"
"""Where a value is: the parent's path and the step from there. It becomes text only in a problem."""


def check_properties(value: Any, field: str, problems: Problems) -> Mapping[str, Any] | None:
    """The properties as plain JSON values: the very object where it holds nothing else and nothing nested."""
    if type(value) is dict and _is_plain(value):
        return value
    if not isinstance(value, Mapping):
        problems.add(field, f"is {described(value)}, not an object", "pass a dict")
        return None
    return _object(value, field, problems, 1)


def check_value(value: Any, field: str, problems: Problems) -> Any:
    """Any value as plain JSON: the very object where it is one that holds nothing else and nothing nested."""
    if type(value) is dict and _is_plain(value):
        return value
    return _plain(value, field, problems, 0)


def _is_plain(flat: dict[Any, Any]) -> bool:
    for key, value in flat.items():
        if type(key) is not str or not _stays(value) or not (key.isascii() or is_text(key)):
            return False
    return True


def _stays(value: Any) -> bool:
    """Whether it is written as it is, as most values are. By its type: a subclass may be written in another way."""
    kind = type(value)
    if kind is str:
        return value.isascii() or is_text(value)
    if kind is int:
        return bool(-SAFE_INTEGER <= value <= SAFE_INTEGER)
    return math.isfinite(value) if kind is float else kind is bool or value is None


def _object(value: Mapping[Any, Any], path: Path, problems: Problems, depth: int) -> dict[str, Any] | None:
    if depth > DEEPEST:
        _too_deep(path, problems)
        return None
    plain: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            problems.add(_text(path), f"has a key that is {described(key)}", "use str keys, such as str(key)")
        elif not is_text(key):
            problems.add(_text(path), f"has a key that {SURROGATE}", DECODE)
        else:
            plain[str.__str__(key)] = _plain(item, (path, key), problems, depth)
    return plain


def _array(value: list[Any] | tuple[Any, ...], path: Path, problems: Problems, depth: int) -> list[Any] | None:
    if depth > DEEPEST:
        _too_deep(path, problems)
        return None
    return [_plain(item, (path, index), problems, depth) for index, item in enumerate(value)]


def _too_deep(path: Path, problems: Problems) -> None:
    while not isinstance(path, str):
        path, _ = path
    problems.add(path, f"is nested deeper than {DEEPEST} levels", "flatten it, or look for a cycle")


def _plain(value: Any, path: Path, problems: Problems, depth: int) -> Any:
    if _stays(value):
        return value
    if isinstance(value, Enum):
        return _plain(value.value, path, problems, depth)
    for base, convert in _CONVERTED.items():
        if isinstance(value, base):
            return convert(value, path, problems)
    if isinstance(value, Mapping):
        return _object(value, path, problems, depth + 1)
    if isinstance(value, list | tuple):
        return _array(value, path, problems, depth + 1)
    return _refused(value, path, problems)


def is_text(value: str) -> bool:
    """Whether it can be written as UTF-8: no lone surrogates."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


SURROGATE = "holds a lone surrogate, which is no character"
DECODE = 'decode it with errors="replace"'


def _str(value: str, path: Path, problems: Problems) -> str:
    if not is_text(value):
        problems.add(_text(path), SURROGATE, DECODE)
    return str.__str__(value)


def _int(value: int, path: Path, problems: Problems) -> int:
    if not -SAFE_INTEGER <= value <= SAFE_INTEGER:
        wrong = "is an int beyond 2**53 - 1, which many readers of JSON round"
        problems.add(_text(path), wrong, "pass str(value)")
    return int.__int__(value)


def _float(value: float, path: Path, problems: Problems) -> float:
    if not math.isfinite(value):
        _not_finite("NaN" if math.isnan(value) else "infinite", path, problems)
    return float.__float__(value)


def _decimal(value: Decimal, path: Path, problems: Problems) -> float | None:
    if not value.is_finite():
        _not_finite("NaN" if value.is_nan() else "infinite", path, problems)
        return None
    number = float(value)
    if not math.isfinite(number) or Decimal(repr(number)) != value:
        wrong = "is a Decimal that a JSON number would not give back exactly"
        problems.add(_text(path), wrong, "pass str(value), or round it")
        return None
    return int(number) if number.is_integer() and abs(number) <= SAFE_INTEGER else number


def _not_finite(what: str, path: Path, problems: Problems) -> None:
    problems.add(_text(path), f"is {what}, which JSON does not have", "leave it out, or pass None")


def _datetime(value: datetime, path: Path, problems: Problems) -> str | None:
    if not is_aware(value):
        problems.add(_text(path), "is a datetime without a timezone", "attach one, such as datetime.UTC")
        return None
    return rfc3339(value, micros=bool(value.microsecond))


def _date(value: date, _path: Path, _problems: Problems) -> str:
    return value.isoformat()


def _uuid(value: UUID, _path: Path, _problems: Problems) -> str:
    return str(value)


# In this order: a datetime is also a date.
_CONVERTED: dict[type, Callable[[Any, Path, Problems], Any]] = {
    str: _str,
    int: _int,
    float: _float,
    Decimal: _decimal,
    datetime: _datetime,
    date: _date,
    UUID: _uuid,
}

_FIXES = {
    "bytes": "decode it to str, or pass value.hex()",
    "bytearray": "decode it to str, or pass value.hex()",
    "set": "pass sorted(value)",
    "frozenset": "pass sorted(value)",
    "timedelta": "pass value.total_seconds()",
    "time": "pass value.isoformat()",
}


def _refused(value: Any, path: Path, problems: Problems) -> None:
    fix = "pass str, int, float, bool, None, list, dict, Decimal, datetime, date, UUID or Enum"
    problems.add(_text(path), f"is {described(value)}, which JSON does not have", _FIXES.get(type(value).__name__, fix))


def _text(path: Path) -> str:
    if isinstance(path, str):
        return path
    parent, step = path
    if isinstance(step, int):
        return f"{_text(parent)}[{step}]"
    key = told_key(step)
    return f"{_text(parent)}{key}" if key.startswith("[") else f"{_text(parent)}.{key}"
