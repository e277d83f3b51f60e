"""Whatever is handed in: it is sent equal, or it is refused; nothing else happens."""

from __future__ import annotations

import contextlib
import json
import math
import warnings
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from outbox.errors import EventRefused, OutboxWarning
from outbox.event import Event, Identity
from support.events import body, encoded

anything_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | anything_text
    | st.sampled_from(["website", "product", "$signup", "$click", "login", "device_id"])
)
json_like = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(anything_text, inner, max_size=4),
    max_leaves=12,
)
hostile = st.recursive(
    scalars
    | st.binary(max_size=3)
    | st.complex_numbers()
    | st.decimals()
    | st.fractions()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.builds(object)
    | st.just(Event)
    | st.just(math),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.frozensets(st.integers() | anything_text, max_size=3)
        | st.dictionaries(st.integers() | st.none() | anything_text, inner, max_size=3)
    ),
    max_leaves=8,
)


def altered(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A documented body with one to three of its fields replaced, or others added."""
    fields = [(part, field) for part, fields in body().items() for field in [*fields, "extra"]]

    def put(changes: list[tuple[tuple[str, str], Any]]) -> dict[str, Any]:
        made = body()
        for (part, field), value in changes:
            made[part][field] = value
        return made

    return st.lists(st.tuples(st.sampled_from(fields), values), min_size=1, max_size=3).map(put)


def bodies(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = values.map(lambda value: body() | {"event": body()["event"] | {"properties": {"a": value}}})
    parts = st.dictionaries(st.sampled_from(["event", "identity", "other"]), values, max_size=3)
    return properties | altered(values) | parts | values


def without_nones(given_body: dict[str, Any]) -> dict[str, Any]:
    """Optional fields that are None count as absent; properties stay as they are."""
    return {
        part: {field: value for field, value in fields.items() if value is not None}
        for part, fields in given_body.items()
        if fields is not None
    }


@given(bodies(json_like))
@settings(max_examples=400, deadline=None)
def test_a_json_body_is_sent_equal_or_refused(given_body: Any) -> None:
    """Compared as text, so that 1, 1.0 and true are three things, and the order counts."""
    with contextlib.suppress(EventRefused), warnings.catch_warnings():
        warnings.simplefilter("ignore", OutboxWarning)
        made = encoded(given_body)
        expected = without_nones(given_body)
        if "identity" in expected:
            expected["identity"].setdefault("project_id", expected["event"].get("project_id"))
        assert made.body.isascii()
        assert json.dumps(json.loads(made.body)) == json.dumps(expected)
        made.body.encode().decode()


@given(bodies(hostile))
@settings(max_examples=400, deadline=None)
def test_any_python_object_is_sent_or_refused(given_body: Any) -> None:
    """Never another exception; what is accepted is JSON that any parser reads."""

    def refuse_constant(name: str) -> None:
        raise AssertionError(name)

    with contextlib.suppress(EventRefused), warnings.catch_warnings():
        warnings.simplefilter("ignore", OutboxWarning)
        text = encoded(given_body).body
        assert text.isascii()
        parsed = json.loads(text, parse_constant=refuse_constant)
        json.dumps(parsed, ensure_ascii=False).encode()


@given(st.lists(hostile, min_size=13, max_size=13))
@settings(max_examples=200, deadline=None)
def test_any_argument_makes_an_event_or_is_refused(values: list[Any]) -> None:
    """The constructors refuse with the same error and with no other."""
    names = ["device_id", "session_id", "context", "project_id", "properties", "url", "hostname", "occurred_at"]
    fine: dict[str, Any] = {"device_id": "d", "session_id": "s", "context": "product"}
    with contextlib.suppress(EventRefused):
        Event(values[0], **dict(zip(names, values[1:9], strict=True)))
    with contextlib.suppress(EventRefused):
        Identity(values[9], email=values[10], name=values[11], project_id=values[12])
    for name, value in [*zip(names, values[1:9], strict=True), ("properties", {"a": values[9]})]:
        with contextlib.suppress(EventRefused):
            event = Event("checked", **(fine | {name: value}))
            assert json.loads(encoded(event, project_id="p").body)["event"].get("properties") == event.properties
