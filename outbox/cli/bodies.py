"""Request bodies from files: one JSON document, or JSON Lines, read strictly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple


class Given(NamedTuple):
    """One JSON value, and where it stands: `orders.json`, or `orders.jsonl:3`."""

    where: str
    value: Any


def read_bodies(name: str, data: bytes) -> tuple[list[Given], list[str]]:
    """The values in a file, and what is wrong with its text, each problem beginning with its place.

    A file that is no single document is read as JSON Lines if its first line is a document by itself.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return [], [f"{name}: is not UTF-8 text: byte {error.start + 1} is wrong"]
    lines = [(number, each) for number, each in enumerate(text.split("\n"), 1) if each.strip()]
    if not lines:
        return [], [f"{name}: holds no event"]
    try:
        return [Given(name, parse(text))], []
    except (ValueError, RecursionError) as error:
        if len(lines) == 1 or not _is_document(lines[0][1]):
            return [], [_told(name, error)]
    return _read_lines(name, lines)


def _read_lines(name: str, lines: list[tuple[int, str]]) -> tuple[list[Given], list[str]]:
    found: list[Given] = []
    problems: list[str] = []
    for number, each in lines:
        try:
            found.append(Given(f"{name}:{number}", parse(each)))
        except (ValueError, RecursionError) as error:
            problems.append(_told(name, error, number))
    return found, problems


def _is_document(text: str) -> bool:
    try:
        parse(text)
    except json.JSONDecodeError:
        return False
    except (ValueError, RecursionError):
        return True
    return True


def _told(name: str, error: Exception, line: int | None = None) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{name}:{line or error.lineno}:{error.colno}: is not JSON: {error.msg}"
    where = name if line is None else f"{name}:{line}"
    return f"{where}: {'is nested too deep' if isinstance(error, RecursionError) else error}"


def parse(text: str) -> Any:
    """Read one JSON value strictly. Raises `ValueError`, or `RecursionError` where it is nested too deep."""
    return json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_no_number, parse_int=_number)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which of two equal keys they believe (RFC 8259 §4): refuse them."""
    found = dict(pairs)
    if len(found) != len(pairs):
        repeated = next(key for key, count in _counts(pairs) if count > 1)
        msg = f"the key {json.dumps(repeated[:40])} stands twice in one object"
        raise ValueError(msg)
    return found


def _counts(pairs: list[tuple[str, Any]]) -> Iterator[tuple[str, int]]:
    keys = [key for key, _ in pairs]
    return ((key, keys.count(key)) for key in dict.fromkeys(keys))


def _no_number(word: str) -> Any:
    msg = f"{word} is not JSON"
    raise ValueError(msg)


def _number(digits: str) -> int:
    if len(digits) > 400:
        msg = "a number has more than 400 digits"
        raise ValueError(msg)
    return int(digits)
