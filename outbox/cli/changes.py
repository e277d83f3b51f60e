"""Changes of a body by paths: `properties.plan=pro`."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from outbox.cli.bodies import parse

Path = tuple[str, ...]

_TOP = ("event", "identity")
"""The fields of an Event API body. A path that begins with neither is one of the event."""

_PROJECT = ("event", "project_id")
_OWN_PROJECT = ("identity", "project_id")


class _Nothing:
    """The value of what is not there."""

    def __deepcopy__(self, _memo: object) -> _Nothing:
        return self


NOTHING = _Nothing()


class Change(NamedTuple):
    """One field, and what it is to be: `NOTHING` where it is to go."""

    path: Path
    value: Any


class Difference(NamedTuple):
    """One field before and after; `NOTHING` where it is not there."""

    path: str
    before: Any
    after: Any


def parse_path(text: str) -> Path:
    r"""Read `properties.plan`, or `items.0.price`; a dot in a name is written `\.`. Raises `ValueError`."""
    steps = tuple(step.replace("\\.", ".") for step in re.split(r"(?<!\\)\.", text))
    if not all(steps):
        msg = "expected names separated by dots, such as properties.plan"
        raise ValueError(msg)
    return steps


def parse_value(text: str) -> Any:
    """Read JSON where it is JSON, and take anything else as text. Raises `ValueError` for what no reader agrees on."""
    try:
        return parse(text)
    except json.JSONDecodeError:
        return text


def changed(body: Any, changes: Sequence[Change], *, is_event: bool) -> Any:
    """Make the changes on a copy. Raises `ValueError`, which quotes no value, where a path leads nowhere.

    `is_event`: it is a body of the Event API. There the identity's project follows the event's, which it must equal.
    """
    after = copy.deepcopy(body)
    # What goes goes first, so that an object can be emptied and filled anew.
    for change in sorted(changes, key=lambda each: each.value is not NOTHING):
        _change(after, _absolute(change.path, is_event=is_event), copy.deepcopy(change.value))
    if is_event:
        _let_project_follow(body, after)
    return after


def differences(before: Any, after: Any, changes: Sequence[Change], *, is_event: bool) -> list[Difference]:
    """What the changes came to, field by field."""
    paths = [_absolute(change.path, is_event=is_event) for change in changes]
    if is_event and _PROJECT in paths:
        paths.append(_OWN_PROJECT)
    found = [Difference(".".join(path), _look(before, path), _look(after, path)) for path in dict.fromkeys(paths)]
    return [each for each in found if not _is_same(each.before, each.after)]


def is_unchanged(before: Any, after: Any) -> bool:
    """Whether two bodies are the same JSON. In Python `1`, `1.0` and `True` are equal."""
    return json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)


def _is_same(one: Any, other: Any) -> bool:
    if one is NOTHING or other is NOTHING:
        return one is other
    return is_unchanged(one, other)


def _absolute(path: Path, *, is_event: bool) -> Path:
    return ("event", *path) if is_event and path[0] not in _TOP else path


def _let_project_follow(before: Any, after: Any) -> None:
    if isinstance(_look(after, ("identity",)), dict) and _is_same(_look(after, _OWN_PROJECT), _look(before, _PROJECT)):
        _change(after, _OWN_PROJECT, _look(after, _PROJECT))


def _change(body: Any, path: Path, value: Any) -> None:
    """Set a field, or remove it; what lies on the way to a new one is made."""
    node = body
    for place, step in enumerate(path[:-1]):
        if isinstance(node, dict) and step not in node:
            if value is NOTHING:
                return
            node[step] = {}
        node = _child(node, step, path[:place])
    if isinstance(node, dict):
        if value is NOTHING:
            node.pop(path[-1], None)
        else:
            node[path[-1]] = value
    elif value is NOTHING:
        _child(node, path[-1], path[:-1])
        del node[int(path[-1])]
    else:
        _child(node, path[-1], path[:-1])
        node[int(path[-1])] = value


def _child(node: Any, step: str, path: Path) -> Any:
    """What lies one step further. Raises `ValueError` where nothing can."""
    where = ".".join(path) or "the body"
    if isinstance(node, dict):
        return node[step]
    if not isinstance(node, list):
        msg = f"{where} is no object: it has no field {step}"
        raise ValueError(msg)  # noqa: TRY004 - the person's path is wrong, no argument of ours
    if not re.fullmatch(r"\d{1,9}", step, re.ASCII) or int(step) >= len(node):
        msg = f"{where} is an array of {len(node)}: it has no element {step}"
        raise ValueError(msg)
    return node[int(step)]


def _look(body: Any, path: Path) -> Any:
    node = body
    for step in path:
        try:
            node = _child(node, step, ())
        except (ValueError, KeyError):
            return NOTHING
    return node
