"""From an event to the text that is stored and sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest

from outbox.event import Event, Identity
from support.events import BODY_NAMES, body, encoded, problems_of, sent, the_problem


def purchase(**changes: Any) -> Event:
    event = body()["event"]
    return Event(event.pop("name"), **(event | changes))


@pytest.mark.parametrize("name", BODY_NAMES)
def test_a_documented_body_is_sent_as_it_is(name: str) -> None:
    """Equal as JSON, its keys in the order given, compact."""
    assert encoded(body(name)).body == json.dumps(body(name), separators=(",", ":"))


def test_event_and_identity_make_the_documented_body() -> None:
    """The objects say the same as the documented dict."""
    identity = body()["identity"]
    assert sent(purchase(), Identity(identity.pop("unique_identifier"), **identity)) == body()


def test_an_event_of_the_server_has_the_documented_ids() -> None:
    """What comes from no browser carries "webhook" as device and session."""
    event = Event.server("$subscription_purchase", properties={"plan": "price_1PREMIUM", "amount": 29.99})
    assert sent(event, Identity("cus_123"), project_id="your-project-id") == body("stripe_webhook")


def test_an_event_of_the_server_takes_every_other_field() -> None:
    """Only the two ids are filled in."""
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    event = Event.server(
        "digest_sent",
        context="website",
        project_id="p",
        url="https://a.example/",
        hostname="a.example",
        occurred_at=moment,
    )
    assert sent(event) == {
        "event": {
            "name": "digest_sent",
            "project_id": "p",
            "device_id": "webhook",
            "session_id": "webhook",
            "context": "website",
            "url": "https://a.example/",
            "hostname": "a.example",
        }
    }
    assert encoded(event).occurred_at == moment


def test_the_name_is_handed_out_for_the_row() -> None:
    """The row's name is the event's."""
    assert encoded(body("minimal")).name == "invoice_email_sent"


def test_the_text_is_ascii_whatever_the_language() -> None:
    """No character set of a connection can change it, and characters are bytes."""
    given = body()
    given["identity"]["name"] = "Zoë 🦊 山田"
    text = encoded(given).body
    assert text.isascii()
    assert json.loads(text) == given


def test_the_given_mapping_is_left_alone() -> None:
    """Filling in a project and a time changes nothing of the caller's."""
    given = body()
    del given["event"]["project_id"], given["identity"]["project_id"]
    before = json.dumps(given)
    encoded(given, project_id="p", occurred_at_property="occurred_at")
    assert json.dumps(given) == before


def test_any_mapping_will_do() -> None:
    """A body need not be a dict."""
    given = MappingProxyType({part: MappingProxyType(fields) for part, fields in body().items()})
    assert sent(given) == body()


def test_optional_fields_that_are_none_are_left_out() -> None:
    """None is absent, in a body and in an Event."""
    given = body("minimal")
    event = given["event"] | {"url": None, "hostname": None, "properties": None}
    assert sent({"event": event, "identity": None}) == given
    assert sent({"event": given["event"], "identity": {"unique_identifier": "u", "email": None}})["identity"] == {
        "unique_identifier": "u",
        "project_id": "your-project-id",
    }


# The project


def test_the_project_comes_from_the_settings() -> None:
    """An event that names no project gets that of the settings; so does its identity."""
    assert sent(purchase(project_id=None), Identity("user_123"), project_id="from-settings") == {
        "event": body()["event"] | {"project_id": "from-settings"},
        "identity": {"unique_identifier": "user_123", "project_id": "from-settings"},
    }


def test_the_events_own_project_wins() -> None:
    """The settings fill in, they do not overwrite."""
    assert sent(purchase(), project_id="from-settings")["event"]["project_id"] == "your-project-id"


def test_no_project_at_all_is_refused() -> None:
    """Neither the event nor the settings name one: the fix names the variable."""
    problem = the_problem(lambda: encoded(purchase(project_id=None)))
    assert (problem.field, problem.wrong) == ("event.project_id", "is missing")
    assert "OUTBOX_PROJECT_ID" in problem.fix


def test_an_unwritable_project_of_the_settings_is_refused() -> None:
    """An environment variable may hold bytes that are no text."""
    problem = the_problem(lambda: encoded(purchase(project_id=None), project_id="p\udc80"))
    assert (problem.field, "surrogate" in problem.wrong) == ("event.project_id", True)


def test_an_identity_of_another_project_is_refused() -> None:
    """The Event API page: it must match the event's project."""
    problem = the_problem(lambda: encoded(purchase(), Identity("user_123", project_id="other")))
    assert (problem.field, problem.wrong) == ("identity.project_id", "differs from event.project_id")
    assert "leave it out" in problem.fix


# The shape of a body


def test_an_event_without_its_envelope_is_recognised() -> None:
    """The inner object alone: the fix says to wrap it."""
    problem = the_problem(lambda: encoded(body()["event"]))
    assert problem.field == "event"
    assert "looks like the event object itself" in problem.wrong
    assert '{"event": {…}}' in problem.fix


@pytest.mark.parametrize("given", [{}, {"event": None}, {"identity": body()["identity"]}])
def test_a_body_without_an_event_is_refused(given: dict[str, Any]) -> None:
    """The event is required."""
    assert "is missing" in problems_of(lambda: encoded(given))["event"].wrong


@pytest.mark.parametrize("given", ["purchase", 7, [body()], None])
def test_what_is_no_body_is_refused(given: Any) -> None:
    """Neither an Event nor a mapping."""
    problem = the_problem(lambda: encoded(given))
    assert (problem.field, "an Event" in problem.fix) == ("event", True)


@pytest.mark.parametrize("part", ["event", "identity"])
def test_a_part_that_is_no_object_is_refused(part: str) -> None:
    """Both parts are JSON objects."""
    problem = the_problem(lambda: encoded(body() | {part: ["x"]}))
    assert (problem.field, problem.wrong) == (part, "is a list, not an object")
    assert "pass {" in problem.fix


def test_an_identity_given_twice_is_refused() -> None:
    """Which one counts is not for the outbox to guess."""
    problem = the_problem(lambda: encoded(body(), Identity("user_123")))
    assert (problem.field, "given twice" in problem.wrong) == ("identity", True)
    assert "leave out one" in problem.fix


def test_a_body_without_identity_takes_the_argument() -> None:
    """A mapping and an Identity go together as long as the mapping has none."""
    assert sent(body("minimal"), Identity("user_123"))["identity"] == {
        "unique_identifier": "user_123",
        "project_id": "your-project-id",
    }


def test_an_identity_that_is_a_dict_is_refused() -> None:
    """The argument is an Identity; a dict belongs into the body."""
    problem = the_problem(lambda: encoded(purchase(), {"unique_identifier": "user_123"}))
    assert (problem.field, problem.wrong) == ("identity", "is a dict, not an Identity")
    assert "Identity(" in problem.fix


def test_all_problems_are_told_at_once() -> None:
    """One refusal names every field that is wrong."""
    given = body()
    given["event"] |= {"context": "app", "device_id": None, "properties": {"price": float("nan")}}
    given["identity"] |= {"unique_identifier": 7, "project_id": "other"}
    assert set(problems_of(lambda: encoded(given))) == {
        "event.context",
        "event.device_id",
        "event.properties.price",
        "identity.unique_identifier",
        "identity.project_id",
    }


def test_a_body_of_a_thousand_problems_is_refused_with_twenty() -> None:
    """The error stays readable."""
    given = body()
    given["event"]["properties"] = {"prices": [float("nan")] * 1000}
    assert len(problems_of(lambda: encoded(given))) == 20


def test_the_size_of_the_body_is_limited() -> None:
    """The refusal names the size, the limit and the variable; the limit itself still passes."""
    given = body()
    given["event"]["properties"] = {"text": "é" * 1000}
    size = len(encoded(given).body)
    assert size > 6000
    assert encoded(given, max_body=size)
    problem = the_problem(lambda: encoded(given, max_body=size - 1))
    assert problem.field == "body"
    assert str(size) in problem.wrong
    assert str(size - 1) in problem.wrong
    assert "OUTBOX_MAX_BODY" in problem.fix


# The event's own time

MOMENT = datetime(2026, 1, 31, 13, 0, 0, 5, tzinfo=timezone(timedelta(hours=1)))


def test_the_events_own_time_is_kept_beside_the_body() -> None:
    """The Event API has no timestamp field, so none is sent."""
    made = encoded(purchase(occurred_at=MOMENT))
    assert made.occurred_at == MOMENT
    assert made.occurred_at.utcoffset() == timedelta(0)
    assert json.loads(made.body)["event"] == body()["event"]


def test_without_a_time_the_database_says_it() -> None:
    """Nothing is made up from this machine's clock."""
    assert encoded(purchase()).occurred_at is None
    assert encoded(body()).occurred_at is None


def test_a_property_carries_the_events_own_time() -> None:
    """RFC 3339 in UTC with microseconds, under the name that the setting has."""
    made = encoded(purchase(occurred_at=MOMENT), occurred_at_property="at")
    assert json.loads(made.body)["event"]["properties"] == body()["event"]["properties"] | {
        "at": "2026-01-31T12:00:00.000005Z"
    }
    assert made.occurred_at == MOMENT


@pytest.mark.parametrize("event", [purchase(properties=None), body("minimal")])
def test_a_property_carries_now_when_the_event_has_no_time(event: Any) -> None:
    """The row and the property tell the same moment, also where there were no properties."""
    before = datetime.now(UTC)
    made = encoded(event, occurred_at_property="at")
    assert made.occurred_at is not None
    assert before <= made.occurred_at <= datetime.now(UTC)
    text = json.loads(made.body)["event"]["properties"]["at"]
    assert text == made.occurred_at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def test_the_applications_own_property_stays() -> None:
    """A property of that name that is already there is not overwritten."""
    made = encoded(purchase(properties={"at": "noon"}, occurred_at=MOMENT), occurred_at_property="at")
    assert json.loads(made.body)["event"]["properties"] == {"at": "noon"}
    assert made.occurred_at == MOMENT
