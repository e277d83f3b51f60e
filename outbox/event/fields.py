"""The fields of the event and identity objects, as the Event API page's two tables have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from outbox.errors import did_you_mean
from outbox.event.names import CONTEXTS, check_shape
from outbox.event.problems import Problems, described, quoted, told_key
from outbox.event.values import DECODE, SURROGATE, check_properties, is_text


class Field(NamedTuple):
    """One row of a table: where it stands, how it is checked, and what its caller should do instead."""

    path: str
    check: Callable[[Any, Field, Problems], Any]
    fix: str
    required: bool = False


Fields: TypeAlias = dict[str, Field]


def check_fields(given: Mapping[Any, Any], where: str, fields: Fields, problems: Problems) -> dict[str, Any]:
    """The object's fields with plain values, in the order given; one that is None counts as absent.

    `where` is the object's path, empty for the body itself.
    """
    checked: dict[str, Any] = {}
    for key, value in given.items():
        field = fields.get(key)
        if field is None:
            _note_unknown(key, where, fields, problems)
        elif value is not None:
            checked[key] = field.check(value, field, problems)
    if len(checked) < len(fields):
        for key, field in fields.items():
            if field.required and key not in checked:
                problems.add(field.path, "is missing", field.fix)
    return checked


def check_text(value: Any, field: Field, problems: Problems) -> str | None:
    """Text of at least one character."""
    if type(value) is str and value and value.isascii():
        return value
    if isinstance(value, str) and not value:
        problems.add(field.path, "is empty", field.fix)
        return None
    return _check_any_text(value, field, problems)


def _check_any_text(value: Any, field: Field, problems: Problems) -> str | None:
    if not isinstance(value, str):
        problems.add(field.path, f"is {described(value)}, not a str", field.fix)
        return None
    if not is_text(value):
        problems.add(field.path, SURROGATE, DECODE)
        return None
    return str.__str__(value)


def _check_name(value: Any, field: Field, problems: Problems) -> str | None:
    name = check_text(value, field, problems)
    if name is not None:
        check_shape(name, field.path, problems)
    return name


def _check_context(value: Any, field: Field, problems: Problems) -> str | None:
    if not isinstance(value, str):
        problems.add(field.path, f"is {described(value)}, not a str", field.fix)
    elif value not in CONTEXTS:
        meant = did_you_mean(value[:40].strip().lower(), CONTEXTS)
        problems.add(field.path, f"{quoted(value)} is neither website nor product{meant}", field.fix)
    else:
        return str.__str__(value)
    return None


_HOST = re.compile(r"[^\s/:?#@\[\]\\]+|\[[0-9A-Fa-f:.]+\]")


def _check_hostname(value: Any, field: Field, problems: Problems) -> str | None:
    host = check_text(value, field, problems)
    if host is not None and not _HOST.fullmatch(host):
        problems.add(field.path, f"is {described(host)} that is more than a host", field.fix)
    return host


def _check_properties(value: Any, field: Field, problems: Problems) -> Mapping[str, Any] | None:
    return check_properties(value, field.path, problems)


def _browser_id(variable: str) -> str:
    return f"pass the page's window.{variable} as a str; for what comes from no browser use Event.server(…)"


EVENT_FIELDS: Fields = {
    "name": Field("event.name", _check_name, "name what happened, such as document_exported", required=True),
    "properties": Field("event.properties", _check_properties, "pass a dict"),
    "project_id": Field("event.project_id", check_text, "pass project_id=… as a str, or set OUTBOX_PROJECT_ID"),
    "device_id": Field("event.device_id", check_text, _browser_id("overcentricDeviceId"), required=True),
    "session_id": Field("event.session_id", check_text, _browser_id("overcentricSessionId"), required=True),
    "context": Field("event.context", _check_context, 'write "website" or "product"', required=True),
    "url": Field("event.url", check_text, "pass the page's URL as a str, or leave it out"),
    "hostname": Field(
        "event.hostname",
        _check_hostname,
        "pass the page's bare host, such as app.example.com: no scheme, port or path",
    ),
}
"""The page's "Event Object Fields". `project_id` is required too, and may come from the settings."""

IDENTITY_FIELDS: Fields = {
    "unique_identifier": Field(
        "identity.unique_identifier", check_text, "pass the user's id as text, such as str(user.id)", required=True
    ),
    "email": Field("identity.email", _check_any_text, "pass a str, or leave it out"),
    "name": Field("identity.name", _check_any_text, "pass a str, or leave it out"),
    "project_id": Field("identity.project_id", check_text, "leave it out: it is filled from the event's"),
}
"""The page's "Identity Object Fields". `project_id` is required too, and filled from the event's."""


def _check_event(value: Any, field: Field, problems: Problems) -> dict[str, Any] | None:
    return _check_object(value, field, EVENT_FIELDS, problems)


def _check_identity(value: Any, field: Field, problems: Problems) -> dict[str, Any] | None:
    return _check_object(value, field, IDENTITY_FIELDS, problems)


def _check_object(value: Any, field: Field, fields: Fields, problems: Problems) -> dict[str, Any] | None:
    if type(value) is not dict and not isinstance(value, Mapping):
        problems.add(field.path, f"is {described(value)}, not an object", field.fix)
        return None
    return check_fields(value, field.path, fields, problems)


BODY_FIELDS: Fields = {
    "event": Field("event", _check_event, 'pass {"event": {…}, "identity": {…}}', required=True),
    "identity": Field("identity", _check_identity, 'pass {"unique_identifier": …}, or leave it out'),
}
"""The page's request body: event and optional identity objects at the top level."""

_KNOWN = (EVENT_FIELDS, IDENTITY_FIELDS)
_OTHER_WORDS = {
    "eventname": "event.name",
    "props": "event.properties",
    "data": "event.properties",
    "user": "identity.unique_identifier",
    "userid": "identity.unique_identifier",
    "uniqueid": "identity.unique_identifier",
    "id": "identity.unique_identifier",
    "username": "identity.name",
    "host": "event.hostname",
}
_TIMES = {"timestamp", "time", "occurredat", "createdat", "sentat", "datetime", "date"}


def _note_unknown(key: Any, where: str, fields: Fields, problems: Problems) -> None:
    if not isinstance(key, str):
        problems.add(
            where or "body", f"has a key that is {described(key)}", "the fields of the Event API are named by str"
        )
        return
    meant, fix = _meant(key, fields), "leave it out; data of your own goes into event.properties"
    if _bare(key) in _TIMES:
        fix = "the Event API has no timestamp: pass Event(occurred_at=…), or put it into event.properties"
    elif meant:
        fix = f"write {meant}"
    hint = f" (did you mean {meant}?)" if meant else ""
    path = f"{where}.{told_key(key)}" if where else told_key(key)
    problems.add(path, f"is not a field of the Event API{hint}", fix)


def _meant(key: str, own: Fields) -> str | None:
    """The path of the field that a key was probably meant for: of its own object first."""
    bare = _bare(key)
    for fields in (own, *_KNOWN):
        for name, field in fields.items():
            if bare == _bare(name):
                return field.path
    return _OTHER_WORDS.get(bare) or _close(key, own)


def _close(key: str, own: Fields) -> str | None:
    guess = did_you_mean(key[:40].lower(), own)
    return next((field.path for name, field in own.items() if f" {name}?" in guess), None)


def _bare(key: str) -> str:
    """`overcentricDeviceId`, `device-id` and `device_id` are one spelling."""
    return re.sub(r"[_\-\s]", "", key[:40]).lower().removeprefix("overcentric")
