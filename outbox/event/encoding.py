"""An event, or the documented request body as a plain dict, to the text that is stored and sent."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from outbox.event.fields import BODY_FIELDS, EVENT_FIELDS, IDENTITY_FIELDS, check_fields, check_text
from outbox.event.model import Event, Identity, checked_fields, fields_of
from outbox.event.moments import rfc3339
from outbox.event.names import check_reserved, warn_about
from outbox.event.problems import Problems, described
from outbox.event.values import check_properties, check_value

# ASCII: the text survives any character set of the connection, and its length is its size in bytes.
_to_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False, check_circular=False).encode


class Encoded(NamedTuple):
    """What the row needs of an event."""

    name: str
    body: str
    """Compact JSON, ASCII: the exact bytes to send."""
    occurred_at: datetime | None
    """The event's own time in UTC; None: the database's clock says it."""


def encode(
    event: Event | Mapping[str, Any],
    identity: Identity | None = None,
    *,
    project_id: str | None,
    max_body: int,
    occurred_at_property: str | None,
    allow_names: Collection[str],
) -> Encoded:
    """Check the whole body and write it as JSON, its keys in the order given.

    `event` may be the documented request body, `{"event": {…}, "identity": {…}}`: it is sent as it is, except that
    optional fields that are None are left out, and a missing project is filled in. The other arguments are the
    settings of the same names. Raises `EventRefused` with everything that is wrong; warns (`OutboxWarning`, at the
    caller's line) about names that are probably not what was meant.
    """
    problems = Problems()
    if type(event) is Event and (identity is None or type(identity) is Identity):
        body = _of_made(event, identity, problems)
    else:
        body = check_fields(_given(event, identity, problems), "", BODY_FIELDS, problems)
    checked: Any = body.get("event")  # None only together with a problem
    if checked is not None:
        _fill_project(checked, body.get("identity"), project_id, problems)
        check_reserved(checked.get("name") or "", allow_names, problems)
    problems.refuse_if_any()
    occurred_at = _occurred_at(event, checked, occurred_at_property)
    text = _text(body, max_body, problems)
    warn_about(checked["name"], allow_names)
    return Encoded(checked["name"], text, occurred_at)


def encode_json(value: Any, field: str, max_body: int, problems: Problems) -> str:
    """Check any JSON value, by the rules of an event's properties, and write it. `field` is what problems call it.

    Raises `EventRefused` with everything that is wrong, and with what `problems` hold already.
    """
    plain = check_value(value, field, problems)
    problems.refuse_if_any()
    return _text(plain, max_body, problems)


def _text(body: Any, max_body: int, problems: Problems) -> str:
    text = _to_json(body)
    if len(text) > max_body:
        problems.add("body", f"has {len(text)} bytes, the limit is {max_body}", "send less, or raise OUTBOX_MAX_BODY")
        problems.refuse_if_any()
    return text


def _of_made(event: Event, identity: Identity | None, problems: Problems) -> dict[str, Any]:
    """The body of what was checked when it was made, and is frozen.

    But for the event's properties: they are a dict, which may have been written to since.
    """
    fields = checked_fields(event)
    if "properties" in fields:
        fields["properties"] = check_properties(event.properties, "event.properties", problems)
    return {"event": fields} if identity is None else {"event": fields, "identity": checked_fields(identity)}


def _given(event: Any, identity: Any, problems: Problems) -> Mapping[Any, Any]:
    """The request body as it was handed in, one way or the other."""
    who = None
    if isinstance(identity, Identity):
        who = fields_of(identity, IDENTITY_FIELDS)
    elif identity is not None:
        problems.add("identity", f"is {described(identity)}, not an Identity", "pass Identity(…)")
    if isinstance(event, Event):
        return {"event": fields_of(event, EVENT_FIELDS), "identity": who}
    if not isinstance(event, Mapping):
        problems.add("event", f"is {described(event)}", 'pass an Event, or the request body {"event": {…}}')
        problems.refuse_if_any()
    if "event" not in event and not EVENT_FIELDS.keys().isdisjoint(event):
        problems.add("event", "is missing: this looks like the event object itself", 'wrap it: {"event": {…}}')
        problems.refuse_if_any()
    if who is None:
        return event  # type: ignore[no-any-return]
    if event.get("identity") is not None:
        problems.add("identity", "is given twice, in the body and as an argument", "leave out one of them")
    return {**event, "identity": who}


def _fill_project(
    event: dict[str, Any], identity: dict[str, Any] | None, default: str | None, problems: Problems
) -> None:
    field = EVENT_FIELDS["project_id"]
    if "project_id" not in event:
        if default is None:
            problems.add(field.path, "is missing", field.fix)
        else:
            event["project_id"] = check_text(default, field, problems)
    if identity is not None:
        project = event.get("project_id")
        if identity.setdefault("project_id", project) != project and project and identity["project_id"]:
            problems.add("identity.project_id", "differs from event.project_id", IDENTITY_FIELDS["project_id"].fix)


def _occurred_at(event: Any, checked: dict[str, Any], name: str | None) -> datetime | None:
    """The event's own time, after copying it into the property that is to carry it."""
    moment: datetime | None = event.occurred_at if isinstance(event, Event) else None
    properties = checked.get("properties") or {}
    if name and name not in properties:
        moment = moment or datetime.now(UTC)
        checked["properties"] = {**properties, name: rfc3339(moment, micros=True)}
    return moment and moment.astimezone(UTC)
