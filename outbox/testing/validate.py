"""A second opinion on request bodies: the Event API page's rules, written without looking at `outbox.event`.

A fake that shared the producer's validation would accept whatever the producer gets wrong. Fields that the page
does not name are refused: a misspelt optional field would otherwise pass every test and be missed in production.
No value from the body appears in a problem, since values may be personal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

EVENT_REQUIRED = ("name", "project_id", "device_id", "session_id", "context")
EVENT_TEXT = (*EVENT_REQUIRED, "url", "hostname")
IDENTITY_REQUIRED = ("unique_identifier", "project_id")
IDENTITY_TEXT = (*IDENTITY_REQUIRED, "email", "name")
CONTEXTS = ("website", "product")

_MEDIA_TYPE = re.compile(rb'application/json[ \t]*(;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Problem(NamedTuple):
    """One thing that is wrong with a request."""

    field: str
    """`event.context`, `identity`, `body`, or a header's name."""
    problem: str


class Verdict(NamedTuple):
    """What the destination makes of a request."""

    name: str | None
    """The event's name, where there is one to read."""
    problems: tuple[Problem, ...]


def examine(headers: Mapping[bytes, bytes], body: bytes) -> Verdict:
    """Judge a request by its headers (lower-case names) and its body."""
    problems = _examine_headers(headers)
    try:
        document = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        return Verdict(None, (*problems, Problem("body", "is not UTF-8 text")))
    except (ValueError, RecursionError) as error:
        reason = "is nested too deeply" if isinstance(error, RecursionError) else f"is not JSON: {_reason(error)}"
        return Verdict(None, (*problems, Problem("body", reason)))
    if _SURROGATE.search(body) and not _encodable(document):
        problems.append(Problem("body", "holds a lone surrogate: half of a character"))
    return Verdict(_name(document), (*problems, *_examine_document(document)))


def _examine_headers(headers: Mapping[bytes, bytes]) -> list[Problem]:
    problems = []
    if not _MEDIA_TYPE.fullmatch(headers.get(b"content-type", b"").strip()):
        problems.append(Problem("Content-Type", "must be application/json"))
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        problems.append(Problem("Content-Encoding", "is not documented: send the body as it is"))
    return problems


def _examine_document(document: Any) -> list[Problem]:
    if not isinstance(document, dict):
        return [Problem("body", "must be a JSON object")]
    problems = _unknown("", document, ("event", "identity"))
    event, identity = document.get("event"), document.get("identity")
    if not isinstance(event, dict):
        problems.append(Problem("event", "is required" if "event" not in document else "must be an object"))
    else:
        problems += _examine_event(event)
    if "identity" in document:
        if not isinstance(identity, dict):
            problems.append(Problem("identity", "must be an object"))
        else:
            problems += _examine_identity(identity, event)
    return problems


def _examine_event(event: dict[str, Any]) -> list[Problem]:
    problems = _texts("event.", event, EVENT_TEXT, EVENT_REQUIRED)
    context = event.get("context")
    if isinstance(context, str) and context and context not in CONTEXTS:
        problems.append(Problem("event.context", 'must be "website" or "product"'))
    if "properties" in event and not isinstance(event["properties"], dict):
        problems.append(Problem("event.properties", "must be an object"))
    return problems + _unknown("event.", event, (*EVENT_TEXT, "properties"))


def _examine_identity(identity: dict[str, Any], event: Any) -> list[Problem]:
    problems = _texts("identity.", identity, IDENTITY_TEXT, IDENTITY_REQUIRED)
    ours, theirs = identity.get("project_id"), event.get("project_id") if isinstance(event, dict) else None
    if ours and isinstance(ours, str) and isinstance(theirs, str) and ours != theirs:
        problems.append(Problem("identity.project_id", "must match event.project_id"))
    return problems + _unknown("identity.", identity, IDENTITY_TEXT)


def _texts(where: str, values: dict[str, Any], names: tuple[str, ...], required: tuple[str, ...]) -> list[Problem]:
    problems = []
    for name in names:
        value = values.get(name, _MISSING)
        if value is _MISSING:
            if name in required:
                problems.append(Problem(where + name, "is required"))
        elif not isinstance(value, str):
            problems.append(Problem(where + name, "must be a string"))
        elif not value and name in required:
            problems.append(Problem(where + name, "must not be empty"))
    return problems


def _unknown(where: str, values: dict[str, Any], known: tuple[str, ...]) -> list[Problem]:
    return [Problem(where + name, "is not a documented field") for name in values if name not in known]


def _name(document: Any) -> str | None:
    event = document.get("event") if isinstance(document, dict) else None
    name = event.get("name") if isinstance(event, dict) else None
    return name if isinstance(name, str) else None


def _encodable(document: Any) -> bool:
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)


def _reason(error: Exception) -> str:
    return f"{error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else str(error)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_MISSING = object()
