"""Paths and values of `outbox edit`: which field is meant, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from outbox.cli.changes import NOTHING, Change, changed, differences, is_unchanged, parse_path, parse_value


def edited(body: Any, *changes: str, is_event: bool = False) -> Any:
    """The body after changes as they are written: `a.b=1`, or `-a.b`."""
    return changed(body, [change_of(each) for each in changes], is_event=is_event)


def change_of(text: str) -> Change:
    if text.startswith("-"):
        return Change(parse_path(text[1:]), NOTHING)
    path, _, value = text.partition("=")
    return Change(parse_path(path), parse_value(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("pro", "pro"), ("", ""), ('"5"', "5"), ("5", 5), ("29.90", 29.9), ("true", True), ("null", None), ("True", "True"),
        ('{"a": [1]}', {"a": [1]}), ("[]", []), ("{oops", "{oops"), ("2026-01-31", "2026-01-31"), ("a=b", "a=b"), ("é", "é"),
    ],
)  # fmt: skip
def test_a_value_is_json_where_it_is_json(text: str, value: Any) -> None:
    """Anything else is text."""
    parsed = parse_value(text)
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize("text", ["NaN", "-Infinity", '{"a": 1, "a": 2}', "1" * 500])
def test_what_no_two_readers_agree_on_is_no_value(text: str) -> None:
    """It is refused, and not taken for text."""
    with pytest.raises(ValueError, match=r"JSON|twice|digits"):
        parse_value(text)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b"])
def test_a_path_has_no_empty_names(text: str) -> None:
    """Names are separated by single dots."""
    with pytest.raises(ValueError, match="names separated by dots"):
        parse_path(text)


def test_fields_are_set_made_and_removed() -> None:
    """Objects on the way are made; what is not there need not be removed; the body that was given stays as it was."""
    body = {"a": {"b": 1, "c": 2}, "d": [{"e": 1}, 5]}
    assert edited(body, "a.b=2") == {"a": {"b": 2, "c": 2}, "d": [{"e": 1}, 5]}
    assert edited(body, "x.y.z=1")["x"] == {"y": {"z": 1}}
    assert edited(body, "-a.b", "-nothing", "-no.thing") == {"a": {"c": 2}, "d": [{"e": 1}, 5]}
    assert edited(body, "d.0.e=2", "d.1=6")["d"] == [{"e": 2}, 6]
    assert edited(body, "-d.0")["d"] == [5]
    assert edited(body, "a.n=1", "-a")["a"] == {"n": 1}
    assert edited({"a.b": 1}, r"a\.b=2") == {"a.b": 2}
    assert body == {"a": {"b": 1, "c": 2}, "d": [{"e": 1}, 5]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("a.b.c=1", "a.b is no object: it has no field c"),
        ("-a.b.c", "a.b is no object: it has no field c"),
        ("d.7=1", "d is an array of 1: it has no element 7"),
        ("-d.7", "d is an array of 1: it has no element 7"),
        ("d.x=1", "d is an array of 1: it has no element x"),
        ("d.-1=1", "d is an array of 1: it has no element -1"),
        ("d.7.e=1", "d is an array of 1: it has no element 7"),
    ],
)
def test_a_path_that_leads_nowhere(change: str, words: str) -> None:
    """It is said where it ends, and no value is quoted."""
    with pytest.raises(ValueError, match=f"^{words}$"):
        edited({"a": {"b": "secret"}, "d": ["secret"]}, change)
    with pytest.raises(ValueError, match=r"^the body is no object: it has no field a$"):
        edited("secret", "a=1")


def test_of_an_event_paths_begin_at_the_event() -> None:
    """Unless they begin with event or identity, the two fields of its body."""
    body = {"event": {"name": "n", "properties": {"plan": "free"}}, "identity": {"email": "a@b.c"}}
    after = edited(body, "properties.plan=pro", "event.name=m", "-identity.email", is_event=True)
    assert after == {"event": {"name": "m", "properties": {"plan": "pro"}}, "identity": {}}


def test_the_identitys_project_follows_the_events() -> None:
    """They must be equal; one that is given by itself, or that was another before, is left to be refused."""
    body = {"event": {"project_id": "old"}, "identity": {"project_id": "old"}}
    new = {"event": {"project_id": "new"}, "identity": {"project_id": "new"}}
    assert edited(body, "project_id=new", is_event=True) == new
    assert edited({"event": {"project_id": "old"}}, "project_id=new", is_event=True) == {"event": {"project_id": "new"}}
    other = edited(body, "project_id=new", "identity.project_id=x", is_event=True)
    assert other["identity"] == {"project_id": "x"}


def test_what_differs_is_told_field_by_field() -> None:
    """Only the fields that a change names, and only where it changed something."""
    body = {"event": {"project_id": "old", "a": 1, "b": 2, "secret": 3}, "identity": {"project_id": "old"}}
    changes = [change_of(each) for each in ("a=1", "-b", "c=4", "project_id=new")]
    after = changed(body, changes, is_event=True)
    assert [tuple(each) for each in differences(body, after, changes, is_event=True)] == [
        ("event.b", 2, NOTHING),
        ("event.c", NOTHING, 4),
        ("event.project_id", "old", "new"),
        ("identity.project_id", "old", "new"),
    ]


def test_true_is_not_one() -> None:
    """JSON tells apart what Python takes for equal."""
    assert not is_unchanged({"a": True}, {"a": 1})
    assert not is_unchanged({"a": 1.0}, {"a": 1})
    assert is_unchanged({"a": 1, "b": 2}, {"b": 2, "a": 1})
