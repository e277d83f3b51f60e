from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from outbox.testing import ThreadedFakeServer, fake_server
from support.raw_http import BODIES, MINIMAL, post

FULL = json.loads((BODIES / "subscription_purchase.json").read_bytes())


@pytest.fixture
def server() -> Iterator[ThreadedFakeServer]:
    with fake_server() as running:
        yield running


@pytest.mark.parametrize("name", ["minimal", "stripe_webhook", "subscription_purchase"])
def test_documented_bodies_are_accepted_and_kept_byte_for_byte(server: ThreadedFakeServer, name: str) -> None:
    """The bodies of the Event API page get 200, and the record holds exactly the bytes sent."""
    body = (BODIES / f"{name}.json").read_bytes()
    answer = post(server.url, body, key="a-key", User_Agent="me/1")
    assert (answer.status, answer.json) == (200, {"ok": True})
    [received] = server.received
    assert received.body == body
    assert received.key == "a-key"
    assert received.name == json.loads(body)["event"]["name"]
    assert received.headers["user-agent"] == "me/1"
    assert received.headers["content-type"] == "application/json"
    assert (received.method, received.path, received.answer, received.accepted) == (
        "POST",
        "/api/v1/event",
        "200",
        True,
    )
    assert server.accepted == {"a-key": 1}


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            document = document[parent]
        document[last] = value

    return change


def _drop(path: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            document = document[parent]
        del document[last]

    return change


WRONG = [
    *[(_drop(f"event.{name}"), f"event.{name}", "is required") for name in ("name", "project_id", "context")],
    *[(_drop(f"event.{name}"), f"event.{name}", "is required") for name in ("device_id", "session_id")],
    *[(_set(f"event.{name}", 7), f"event.{name}", "must be a string") for name in ("name", "device_id", "url")],
    (_set("event.hostname", None), "event.hostname", "must be a string"),
    (_set("event.session_id", ""), "event.session_id", "must not be empty"),
    (_set("event.context", "server"), "event.context", 'must be "website" or "product"'),
    (_set("event.properties", ["a"]), "event.properties", "must be an object"),
    (_set("event.properties", None), "event.properties", "must be an object"),
    (_set("event.timestamp", "now"), "event.timestamp", "is not a documented field"),
    (_set("event.name", "\ud800"), "body", "holds a lone surrogate: half of a character"),
    (_drop("event"), "event", "is required"),
    (_set("event", []), "event", "must be an object"),
    (_set("user", {}), "user", "is not a documented field"),
    (_set("identity", None), "identity", "must be an object"),
    (_drop("identity.unique_identifier"), "identity.unique_identifier", "is required"),
    (_drop("identity.project_id"), "identity.project_id", "is required"),
    (_set("identity.unique_identifier", 7), "identity.unique_identifier", "must be a string"),
    (_set("identity.email", 7), "identity.email", "must be a string"),
    (_set("identity.project_id", "another"), "identity.project_id", "must match event.project_id"),
    (_set("identity.phone", "1"), "identity.phone", "is not a documented field"),
]


@pytest.mark.parametrize(("change", "field", "problem"), WRONG, ids=[f"{case[1]}-{case[2][:14]}" for case in WRONG])
def test_each_departure_from_the_page_is_named(
    server: ThreadedFakeServer, change: Callable[[dict[str, Any]], None], field: str, problem: str
) -> None:
    """A body that departs from the page in one point gets 400 with that one problem."""
    document = copy.deepcopy(FULL)
    change(document)
    answer = post(server.url, json.dumps(document).encode())
    assert answer.status == 400
    assert answer.json == {"ok": False, "problems": [{"field": field, "problem": problem}]}
    [received] = server.received
    assert [tuple(each) for each in received.problems] == [(field, problem)]
    assert (received.answer, received.accepted) == ("400", False)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "is not JSON: Expecting value at character 0"),
        (b"{", "is not JSON: Expecting property name enclosed in double quotes at character 1"),
        (b"[]", "must be a JSON object"),
        (b'{"event": {"properties": {"price": NaN}}}', "is not JSON: NaN is not a JSON number"),
        (b'{"event": {"properties": {"price": -Infinity}}}', "is not JSON: -Infinity is not a JSON number"),
        (MINIMAL.decode().encode("utf-16"), "is not UTF-8 text"),
        (b"\xff{}", "is not UTF-8 text"),
        (b"[" * 100_000, "is nested too deeply"),
    ],
)
def test_what_is_not_a_json_object_is_refused(server: ThreadedFakeServer, body: bytes, problem: str) -> None:
    """Bodies that are no JSON object in UTF-8 get 400, never a crash."""
    answer = post(server.url, body)
    assert answer.status == 400
    assert answer.json["problems"] == [{"field": "body", "problem": problem}]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
def test_another_content_type_is_refused(server: ThreadedFakeServer, content_type: str) -> None:
    """The page asks for Content-Type: application/json."""
    answer = post(server.url, Content_Type=content_type)
    assert answer.json["problems"] == [{"field": "Content-Type", "problem": "must be application/json"}]


@pytest.mark.parametrize("content_type", ["Application/JSON", "application/json; charset=utf-8"])
def test_equal_spellings_of_the_content_type_are_accepted(server: ThreadedFakeServer, content_type: str) -> None:
    """Media types are compared as HTTP compares them."""
    assert post(server.url, Content_Type=content_type).status == 200


def test_a_compressed_body_is_refused(server: ThreadedFakeServer) -> None:
    """Content codings are not documented."""
    answer = post(server.url, Content_Encoding="gzip")
    assert [problem["field"] for problem in answer.json["problems"]] == ["Content-Encoding"]


def test_every_problem_is_listed_and_no_value_is_repeated(server: ThreadedFakeServer) -> None:
    """An answer names all problems at once, and quotes nothing personal."""
    document = copy.deepcopy(FULL)
    document["event"]["context"] = "secret-context"
    document["identity"]["email"] = ["secret@example.com"]
    document["identity"]["project_id"] = "secret-project"
    answer = post(server.url, json.dumps(document).encode())
    assert {problem["field"] for problem in answer.json["problems"]} == {
        "event.context",
        "identity.email",
        "identity.project_id",
    }
    assert b"secret" not in answer.body
