"""Fields of event and identity: what is refused, where, and with what advice."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest

from outbox.errors import EventRefused
from outbox.event import Event, Identity
from support.events import body, encoded, problems_of, sent, the_problem

ID = UUID("018f0000-0000-7000-8000-000000000000")


def changed(part: str, **fields: Any) -> dict[str, Any]:
    given = body()
    given[part] |= fields
    return given


def event_of(**fields: Any) -> Event:
    given = body()["event"] | fields
    return Event(given.pop("name"), **given)


REFUSED_IN_EVENT: list[tuple[str, Any, str, str]] = [
    (
        "context",
        "Website",
        "'Website' is neither website nor product (did you mean website?)",
        '"website" or "product"',
    ),
    ("context", "PRODUCT", "did you mean product?", '"website" or "product"'),
    ("context", "prodcut", "did you mean product?", '"website" or "product"'),
    ("context", "app", "'app' is neither website nor product", '"website" or "product"'),
    ("context", "", "'' is neither website nor product", '"website" or "product"'),
    ("context", None, "is missing", '"website" or "product"'),
    ("context", 1, "is an int, not a str", '"website" or "product"'),
    ("device_id", None, "is missing", "window.overcentricDeviceId"),
    ("device_id", "", "is empty", "Event.server"),
    ("device_id", 17, "is an int, not a str", "window.overcentricDeviceId"),
    ("device_id", ID, "is a UUID, not a str", "as a str"),
    ("device_id", "a\ud800", "holds a lone surrogate", "decode it"),
    ("session_id", None, "is missing", "window.overcentricSessionId"),
    ("session_id", "", "is empty", "Event.server"),
    ("session_id", 17, "is an int, not a str", "window.overcentricSessionId"),
    ("project_id", "", "is empty", "OUTBOX_PROJECT_ID"),
    ("project_id", 17, "is an int, not a str", "as a str"),
    ("url", "", "is empty", "leave it out"),
    ("url", 17, "is an int, not a str", "as a str"),
    ("hostname", "", "is empty", "app.example.com"),
    ("hostname", 17, "is an int, not a str", "app.example.com"),
    ("hostname", "https://app.example.com", "more than a host", "no scheme, port or path"),
    ("hostname", "app.example.com/", "more than a host", "no scheme, port or path"),
    ("hostname", "app.example.com:443", "more than a host", "no scheme, port or path"),
    ("hostname", "me@app.example.com", "more than a host", "no scheme, port or path"),
    ("hostname", "app example", "more than a host", "no scheme, port or path"),
    ("properties", [], "is a list, not an object", "pass a dict"),
    ("properties", "plan", "is a str of 4 characters, not an object", "pass a dict"),
]


@pytest.mark.parametrize(("field", "value", "wrong", "fix"), REFUSED_IN_EVENT)
def test_a_wrong_field_of_the_event_is_refused(field: str, value: Any, wrong: str, fix: str) -> None:
    """By the constructor, in the caller's stack, and in a body alike."""
    for call in (lambda: event_of(**{field: value}), lambda: encoded(changed("event", **{field: value}))):
        problem = the_problem(call)
        assert problem.field == f"event.{field}"
        assert wrong in problem.wrong
        assert fix in problem.fix


REFUSED_IN_IDENTITY: list[tuple[str, Any, str, str]] = [
    ("unique_identifier", None, "is missing", "str(user.id)"),
    ("unique_identifier", "", "is empty", "str(user.id)"),
    ("unique_identifier", 42, "is an int, not a str", "str(user.id)"),
    ("unique_identifier", ID, "is a UUID, not a str", "str(user.id)"),
    ("email", 42, "is an int, not a str", "leave it out"),
    ("email", "a\udfff", "holds a lone surrogate", "decode it"),
    ("name", ["John"], "is a list, not a str", "leave it out"),
    ("project_id", 42, "is an int, not a str", "filled from the event's"),
    ("project_id", "", "is empty", "filled from the event's"),
]


@pytest.mark.parametrize(("field", "value", "wrong", "fix"), REFUSED_IN_IDENTITY)
def test_a_wrong_field_of_the_identity_is_refused(field: str, value: Any, wrong: str, fix: str) -> None:
    """By the constructor and in a body alike."""
    fields = body()["identity"] | {field: value}
    for call in (lambda: Identity(**fields), lambda: encoded(changed("identity", **{field: value}))):
        problem = the_problem(call)
        assert problem.field == f"identity.{field}"
        assert wrong in problem.wrong
        assert fix in problem.fix


@pytest.mark.parametrize("host", ["app.example.com", "localhost", "münchen.example", "192.0.2.7", "[2001:db8::1]"])
def test_a_bare_host_is_accepted(host: str) -> None:
    """As a page's `location.hostname` gives it."""
    assert sent(event_of(hostname=host))["event"]["hostname"] == host


@pytest.mark.parametrize(
    ("part", "key", "field", "meant"),
    [
        ("event", "deviceId", "event.deviceId", "event.device_id"),
        ("event", "device-id", "event.device-id", "event.device_id"),
        ("event", "overcentricSessionId", "event.overcentricSessionId", "event.session_id"),
        ("event", "propertys", "event.propertys", "event.properties"),
        ("event", "data", "event.data", "event.properties"),
        ("event", "userId", "event.userId", "identity.unique_identifier"),
        ("event", "email", "event.email", "identity.email"),
        ("identity", "unique_id", "identity.unique_id", "identity.unique_identifier"),
        ("identity", "userId", "identity.userId", "identity.unique_identifier"),
        ("identity", "projectId", "identity.projectId", "identity.project_id"),
        ("identity", "mail", "identity.mail", "identity.email"),
        ("identity", "session_id", "identity.session_id", "event.session_id"),
    ],
)
def test_an_unknown_field_is_refused_with_what_was_meant(part: str, key: str, field: str, meant: str) -> None:
    """The destination would ignore it without a word."""
    problem = the_problem(lambda: encoded(changed(part, **{key: "x"})))
    assert problem.field == field
    assert problem.wrong == f"is not a field of the Event API (did you mean {meant}?)"
    assert problem.fix == f"write {meant}"


@pytest.mark.parametrize(
    ("key", "meant"), [("Event", "event"), ("identify", "identity"), ("properties", "event.properties")]
)
def test_an_unknown_field_beside_the_event_is_refused(key: str, meant: str) -> None:
    """Only event and identity stand at the top level."""
    problem = the_problem(lambda: encoded(body() | {key: {}}))
    assert (problem.field, problem.fix) == (key, f"write {meant}")


def test_an_unknown_field_like_none_we_know_is_refused() -> None:
    """Data of one's own has its place."""
    problem = the_problem(lambda: encoded(changed("event", color="red")))
    assert (problem.field, problem.wrong) == ("event.color", "is not a field of the Event API")
    assert "event.properties" in problem.fix


@pytest.mark.parametrize("key", ["timestamp", "occurred_at", "createdAt"])
def test_a_timestamp_in_the_event_is_refused(key: str) -> None:
    """The Event API has no such field; the fix says where a time goes."""
    problem = the_problem(lambda: encoded(changed("event", **{key: "2026-01-31"})))
    assert problem.field == f"event.{key}"
    assert "no timestamp" in problem.fix
    assert "occurred_at" in problem.fix


def test_a_field_that_is_not_named_by_text_is_refused() -> None:
    """JSON objects have str keys only; Python's encoder would convert it in silence."""
    problem = the_problem(lambda: encoded({"event": body("minimal")["event"] | {1: "x"}}))
    assert (problem.field, problem.wrong) == ("event", "has a key that is an int")
    assert "str" in problem.fix
    assert "body" in problems_of(lambda: encoded(body() | {None: 1}))


@pytest.mark.parametrize(
    ("moment", "wrong", "fix"),
    [
        (datetime(2026, 1, 31), "without a timezone", "datetime.now(UTC)"),  # noqa: DTZ001 - a naive one is the point
        (date(2026, 1, 31), "is a date, not a datetime", "aware datetime"),
        ("2026-01-31", "is a str of 10 characters, not a datetime", "aware datetime"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "without a timezone", "datetime.now(UTC)"),
    ],
)
def test_a_time_that_names_no_moment_is_refused(moment: Any, wrong: str, fix: str) -> None:
    """Only an aware datetime is one moment everywhere."""
    problem = the_problem(lambda: event_of(occurred_at=moment))
    assert problem.field == "occurred_at"
    assert wrong in problem.wrong
    assert fix in problem.fix


def test_a_constructor_tells_every_problem_at_once() -> None:
    """As a body does."""
    wrong: dict[str, Any] = {"context": "app", "device_id": "", "occurred_at": 1, "properties": {"a": {1}}}
    assert set(problems_of(lambda: event_of(**wrong))) == {
        "event.context",
        "event.device_id",
        "occurred_at",
        "event.properties.a",
    }


def test_words_of_an_enum_are_words() -> None:
    """A StrEnum is a str; what is kept and sent is plain."""

    class Word(StrEnum):
        PRODUCT = "product"
        PAID = "invoice_paid"

    event = event_of(context=Word.PRODUCT, name=Word.PAID)
    made = encoded(event)
    assert [type(event.context), type(event.name), type(made.name)] == [str, str, str]
    assert json.loads(made.body)["event"]["context"] == "product"
    assert encoded(changed("event", name=Word.PAID)).name == "invoice_paid"


def test_events_are_values() -> None:
    """Equal, hashable, copied, pickled, and not to be changed."""
    event, identity = event_of(occurred_at=datetime.now(UTC)), Identity("user_123", email="user@example.com")
    for made in (event, identity):
        assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == replace(made) == made  # noqa: S301 - our own bytes
        assert hash(made) == hash(replace(made))
        with pytest.raises(FrozenInstanceError):
            made.name = "other"  # type: ignore[misc]


def test_an_event_keeps_its_properties_as_they_were() -> None:
    """What becomes of the caller's dict afterwards changes nothing."""
    properties: dict[str, Any] = {"plan": "premium", "items": [1]}
    event = event_of(properties=properties)
    flat = {"plan": "premium"}
    flat_event = event_of(properties=flat)
    properties["items"].append({1})
    properties[3] = object()  # type: ignore[index]
    flat["plan"] = "none"
    assert sent(event)["event"]["properties"] == {"plan": "premium", "items": [1]}
    assert sent(flat_event)["event"]["properties"] == {"plan": "premium"}


def test_an_event_changed_behind_our_back_is_refused_all_the_same() -> None:
    """What `properties` holds is looked at again when it is written."""
    event = event_of(properties={"items": [1]})
    assert event.properties is not None
    event.properties["items"].append({1})
    assert set(problems_of(lambda: encoded(event))) == {"event.properties.items[1]"}


CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    "given",
    [
        *(changed("event", **{field: CANARY + "\ud800"}) for field in ("device_id", "session_id", "url", "project_id")),
        *(changed("identity", **{field: CANARY + "\ud800"}) for field in body()["identity"]),
        *(changed("identity", **{field: [CANARY]}) for field in body()["identity"]),
        changed("event", hostname=f"https://{CANARY}@example.com"),
        changed("event", properties={"a": CANARY + "\ud800"}),
        changed("event", properties={"a": {CANARY}}),
        changed("event", properties=CANARY),
        changed("event", properties={f"{CANARY}@example.com": float("nan")}),
        changed("event", properties={CANARY + "\ud800": 1}),
        changed("event", **{f"{CANARY}@example.com": 1}),
        changed("identity", project_id=CANARY),
        body() | {"event": CANARY},
    ],
)
def test_personal_data_never_reaches_an_error(given: dict[str, Any]) -> None:
    """Ids, addresses and values are described, not quoted: errors end up in logs."""
    with pytest.raises(EventRefused) as caught:
        encoded(given)
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value)
    assert caught.value.__context__ is None


def test_personal_data_is_not_in_a_repr() -> None:
    """Tracebacks with local variables, and careless log lines, show reprs."""
    event = event_of(device_id=CANARY, session_id=CANARY, url=CANARY, properties={"a": CANARY})
    assert CANARY not in f"{event!r}{Identity(CANARY, email=CANARY, name=CANARY)!r}"
    assert "$subscription_purchase" in repr(event)
