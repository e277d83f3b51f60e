"""Values to JSON in ASCII: no byte of it can move a terminal's cursor."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from outbox.event.moments import rfc3339


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON in ASCII; datetimes as RFC 3339 in UTC, UUIDs as text, named tuples as objects."""
    encode = _compact if indent is None else json.JSONEncoder(indent=indent, allow_nan=False).encode
    return encode(jsonable(value))


def jsonable(value: Any) -> Any:
    """The value in terms of dict, list, str, numbers, bool and None."""
    convert = _CONVERTED.get(type(value))
    if convert is not None:
        return convert(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _object(value._asdict())
    return value


def _object(value: dict[str, Any]) -> dict[str, Any]:
    return {key: jsonable(each) for key, each in value.items()}


def _array(value: list[Any] | tuple[Any, ...]) -> list[Any]:
    return [jsonable(each) for each in value]


def _moment(value: datetime) -> str:
    return rfc3339(value, micros=True)


_CONVERTED: dict[type, Callable[[Any], Any]] = {
    datetime: _moment,
    UUID: str,
    dict: _object,
    list: _array,
    tuple: _array,
}
_compact = json.JSONEncoder(allow_nan=False).encode
