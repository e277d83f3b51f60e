"""Whether a message is the one that a test means, and where it differs from it."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from outbox.errors import EventRefused, did_you_mean
from outbox.event import Identity
from outbox.event.problems import Problems
from outbox.event.values import check_value
from outbox.store.look import Enqueued


class Match(TypedDict, total=False):
    """What can be asked of a message beside its name. An object is matched by the keys that are given."""

    properties: Mapping[str, Any]
    """Of the event; the values as `enqueue` takes them: `Decimal`, `datetime`, …"""
    identity: Mapping[str, Any] | Identity
    project_id: Any
    device_id: Any
    session_id: Any
    context: Any
    url: Any
    hostname: Any
    destination: Any
    ordering_key: Any
    dedup_key: str
    on_unknown: Any
    state: Any
    """`pending`, `delivered` or `failed`; a message in any state is enqueued."""
    body: Any
    """The whole body as JSON: for a webhook's."""


_OF_EVENT = ("project_id", "device_id", "session_id", "context", "url", "hostname")
_OF_MESSAGE = ("destination", "ordering_key", "on_unknown", "state", "properties", "identity")
_IDENTITY = ("unique_identifier", "email", "name", "project_id")

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 120
_short.maxdict = _short.maxlist = 12


def check_fields(match: Mapping[str, Any]) -> None:
    """Raise `TypeError` for what no message has: a misspelt field would match nothing, or everything."""
    for field in match:
        if field not in Match.__annotations__:
            msg = f"a message has no field {field!r}{did_you_mean(field, Match.__annotations__)}"
            raise TypeError(msg)


def differences(message: Enqueued, match: Mapping[str, Any]) -> list[str]:
    """Where a message differs from what is asked for; nothing where it is meant. `dedup_key` is not looked at."""
    return [each for field, wanted in match.items() if field != "dedup_key" for each in _field(message, field, wanted)]


def described(match: Mapping[str, Any]) -> str:
    """The question, as it was put."""
    return ", ".join(f"{field}={_short.repr(_plain_identity(wanted))}" for field, wanted in match.items())


def _field(message: Enqueued, field: str, wanted: Any) -> Iterator[str]:
    if field == "body":
        found = message.json
    elif field in _OF_EVENT:
        found = message.event.get(field)
    else:
        found = getattr(message, field)
    yield from _differences(_plain_identity(wanted), found, field)


def _differences(wanted: Any, found: Any, path: str) -> Iterator[str]:
    if isinstance(wanted, Mapping) and isinstance(found, dict):
        for key, each in wanted.items():
            if key in found:
                yield from _differences(each, found[key], f"{path}.{key}")
            else:
                yield f"{path}.{key} is not there"
    elif isinstance(wanted, list | tuple) and isinstance(found, list) and len(wanted) == len(found):
        for place, (each, there) in enumerate(zip(wanted, found, strict=True)):
            yield from _differences(each, there, f"{path}[{place}]")
    elif not _equal(wanted, found):
        yield f"{path} is {_short.repr(found)}, not {_short.repr(wanted)}"


def _equal(wanted: Any, found: Any) -> bool:
    """Whether they are the same as JSON, or as Python has it, for such as `pytest.approx` and `unittest.mock.ANY`."""
    if isinstance(wanted, bool) is not isinstance(found, bool) and isinstance(wanted, int | float):
        return False  # Python takes 1 for True
    return bool(wanted == found) or _as_json(wanted) == [found]


def _as_json(wanted: Any) -> list[Any]:
    """The value as `enqueue` would write it, in a list; an empty one where it would not."""
    problems = Problems()
    try:
        plain = check_value(wanted, "value", problems)
        problems.refuse_if_any()
    except EventRefused:
        return []
    return [plain]


def _plain_identity(wanted: Any) -> Any:
    if not isinstance(wanted, Identity):
        return wanted
    return {name: value for name in _IDENTITY if (value := getattr(wanted, name)) is not None}
