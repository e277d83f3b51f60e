"""Where a person stands in a body, and where a word only looks like it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from outbox.event.identities import Identities
from support.events import body

WHO = Identities(["user_123", "zoë@example.com"])


def event(**changes: Any) -> dict[str, Any]:
    """The documented body, with other fields of the event."""
    made = body("minimal")
    made["event"].update(changes)
    return made


@pytest.mark.parametrize(
    "found",
    [
        event() | {"identity": {"unique_identifier": "user_123", "project_id": "p"}},
        event() | {"identity": {"unique_identifier": "1", "email": "zoë@example.com"}},
        event(properties={"a": [{"b": ["user_123"]}]}),
        event(properties={"shares": {"user_123": 0.5}}),
        event(device_id="user_123"),
        event(session_id="user_123"),
        event(url="user_123"),
        {"type": "order.paid", "data": {"customers": [{"id": "user_123"}]}},
        ["user_123"],
        "user_123",
    ],
)
def test_a_value_or_a_key_anywhere(found: Any) -> None:
    """In whatever tells of a person in the Event API's body, and anywhere in a webhook's payload."""
    assert WHO.are_in(json.dumps(found))
    assert WHO.are_in(json.dumps(found, ensure_ascii=False))


@pytest.mark.parametrize(
    "other",
    [
        event(properties={"user": "user_1234", "text": "by user_123"}),
        event(name="user_123"),
        event(project_id="user_123"),
        event(hostname="user_123"),
        event() | {"identity": {"unique_identifier": "1", "project_id": "user_123"}},
        {"customer": "USER_123", "other": "user_123 "},
        {"customer": 123},
        None,
    ],
)
def test_others(other: Any) -> None:
    """A part of a longer text, another case, a number, and what names the application's own things."""
    assert not WHO.are_in(json.dumps(other))


@pytest.mark.parametrize("word", ["webhook", "product", "my-project", "invoice_email_sent"])
def test_a_word_of_every_event_is_nobody(word: str) -> None:
    """Else a slip would erase everything."""
    made = event(device_id="webhook", session_id="webhook", context="product", project_id="my-project")
    assert not Identities([word]).are_in(json.dumps(made))


def test_what_is_no_json() -> None:
    """The body of a plugin's destination: its words."""
    assert WHO.are_in("<user>user_123</user>")
    assert not WHO.are_in("<user>user_1234</user>")
    assert WHO.are_in("[" * 100_000 + "user_123")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no such user: user_123", True),
        ('{"email": "zo\\u00eb@example.com"}', True),
        ("zoë@example.com", True),
        ("user_1234", False),
        ("my_user_123", False),
        ("", False),
    ],
)
def test_words_of_a_text(text: str, *, told: bool) -> None:
    """As words of their own, in either spelling."""
    assert WHO.are_told(text) is told
