"""Properties: Python's values to JSON's, by the documented rule, nothing lost in silence."""

from __future__ import annotations

import json
import math
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, localcontext
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from outbox.event import Event
from support.events import encoded, problems_of, the_problem


class Plan(Enum):
    """Values of every kind."""

    PRO = "pro"
    PRICE = Decimal("29.90")
    NESTED = (1, Decimal(2))
    BAD = b"x"


class Level(IntEnum):
    """An int and an Enum."""

    HIGH = 3


class Word(StrEnum):
    """A str and an Enum."""

    YES = "yes"


class OldWord(str, Enum):  # noqa: UP042 - what applications older than StrEnum have
    """A str and an Enum, in the old manner."""

    NO = "no"


class Cents(int):
    """An int that shows itself in its own way."""

    def __str__(self) -> str:
        return "¢"


class Ratio(float):
    """A float that shows itself in its own way."""

    def __repr__(self) -> str:
        return "half"


class Title(str):
    """A str that shows itself in its own way."""

    __slots__ = ()

    def __str__(self) -> str:
        return "other"


Point = namedtuple("Point", "x y")  # noqa: PYI024 - an untyped one is the harder case


def text_of(value: Any) -> str:
    """The JSON text of one property."""
    text = encoded(Event.server("checked", project_id="p", properties={"a": value})).body
    assert text.startswith('{"event":{"name":"checked","properties":{"a":')
    return text[len('{"event":{"name":"checked","properties":{"a":') : text.index('},"project_id"')]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", '"x"'),
        ("", '""'),
        ("é🦊", '"\\u00e9\\ud83e\\udd8a"'),
        ("\x00", '"\\u0000"'),
        (True, "true"),
        (None, "null"),
        (0, "0"),
        (2**53 - 1, "9007199254740991"),
        (-(2**53) + 1, "-9007199254740991"),
        (29.99, "29.99"),
        (-0.0, "-0.0"),
        (1e300, "1e+300"),
        (Decimal("29.99"), "29.99"),
        (Decimal("29.90"), "29.9"),
        (Decimal("30.00"), "30"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E+20"), "1e+20"),
        (Decimal("-0"), "0"),
        (Decimal("0.1"), "0.1"),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), '"2026-01-31T12:00:00Z"'),
        (datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))), '"2026-01-31T10:00:00Z"'),
        (datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC), '"2026-01-31T12:00:00.000005Z"'),
        (datetime(1, 1, 1, tzinfo=UTC), '"0001-01-01T00:00:00Z"'),
        (date(2026, 1, 31), '"2026-01-31"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Plan.PRO, '"pro"'),
        (Plan.PRICE, "29.9"),
        (Plan.NESTED, "[1,2]"),
        (Level.HIGH, "3"),
        (Word.YES, '"yes"'),
        (OldWord.NO, '"no"'),
        (Cents(7), "7"),
        (Ratio(0.5), "0.5"),
        (Title("mine"), '"mine"'),
        ([1, (2, 3)], "[1,[2,3]]"),
        (Point(1, 2), "[1,2]"),
        ({"b": {"c": Decimal("1.5")}}, '{"b":{"c":1.5}}'),
        (MappingProxyType({"b": 1}), '{"b":1}'),
        (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
        ({Word.YES: 1, OldWord.NO: 2, Title("mine"): 3}, '{"yes":1,"no":2,"mine":3}'),
        ({}, "{}"),
    ],
)
def test_a_value_has_one_json_form(value: Any, text: str) -> None:
    """As the table in `outbox.event.values` says."""
    assert text_of(value) == text
    assert text_of([value]) == f"[{text}]"
    json.loads(text)


@pytest.mark.parametrize(
    ("value", "kind"), [(Cents(7), int), (Ratio(0.5), float), (Title("mine"), str), (Level.HIGH, int)]
)
def test_an_event_keeps_plain_values(value: Any, kind: type) -> None:
    """A subclass is gone from the moment on at which the event is made."""
    event = Event.server("checked", properties={"a": value})
    assert event.properties is not None
    assert type(event.properties["a"]) is kind


JSON_VALUES = "pass str, int, float"


@pytest.mark.parametrize(
    ("value", "wrong", "fix"),
    [
        (math.nan, "is NaN", "leave it out"),
        (math.inf, "is infinite", "leave it out"),
        (-math.inf, "is infinite", "leave it out"),
        (Decimal("NaN"), "is NaN", "leave it out"),
        (Decimal("sNaN"), "is NaN", "leave it out"),
        (Decimal("-Infinity"), "is infinite", "leave it out"),
        (Decimal("0.1234567890123456789"), "would not give back exactly", "str(value), or round it"),
        (Decimal(12345678901234567), "would not give back exactly", "str(value), or round it"),
        (Decimal("1E+999999"), "would not give back exactly", "str(value), or round it"),
        (Decimal("1E-999999"), "would not give back exactly", "str(value), or round it"),
        (2**53, "beyond 2**53 - 1", "str(value)"),
        (-(2**53), "beyond 2**53 - 1", "str(value)"),
        pytest.param(10**5000, "beyond 2**53 - 1", "str(value)", id="too long for str()"),
        (Cents(2**53), "beyond 2**53 - 1", "str(value)"),
        ("a\ud800", "lone surrogate", "decode it"),
        ("\ud83e\udd8a", "lone surrogate", "decode it"),
        (datetime(2026, 1, 31), "without a timezone", "datetime.UTC"),  # noqa: DTZ001 - a naive one is the point
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))), "without a timezone", "datetime.UTC"),
        (b"x", "is a bytes", "decode it"),
        (bytearray(b"x"), "is a bytearray", "decode it"),
        ({1}, "is a set", "sorted(value)"),
        (frozenset({1}), "is a frozenset", "sorted(value)"),
        (timedelta(1), "is a timedelta", "total_seconds()"),
        (time(1), "is a time", "isoformat()"),
        (1j, "is a complex", JSON_VALUES),
        (object(), "is an object", JSON_VALUES),
        (range(3), "is a range", JSON_VALUES),
        ((x for x in "a"), "is a generator", JSON_VALUES),
        (Event, "is a type", JSON_VALUES),
        (Plan.BAD, "is a bytes", "decode it"),
    ],
)
def test_a_value_that_json_has_not_is_refused_with_its_path(value: Any, wrong: str, fix: str) -> None:
    """However deep it is."""
    for properties, field in (
        ({"a": value}, "event.properties.a"),
        ({"items": [1, 2, {"price": value}]}, "event.properties.items[2].price"),
    ):
        problem = the_problem(lambda properties=properties: Event.server("checked", properties=properties))  # type: ignore[misc]
        assert problem.field == field
        assert wrong in problem.wrong
        assert fix in problem.fix


@pytest.mark.parametrize(
    ("key", "wrong", "fix"),
    [
        (1, "has a key that is an int", "str(key)"),
        (None, "has a key that is None", "str(key)"),
        (True, "has a key that is a bool", "str(key)"),
        (("a", "b"), "has a key that is a tuple", "str(key)"),
        ("a\ud800", "has a key that holds a lone surrogate", "decode it"),
    ],
)
def test_a_key_that_json_has_not_is_refused(key: Any, wrong: str, fix: str) -> None:
    """Python's own encoder would turn 1 and None into text in silence."""
    for properties, field in (({key: 1}, "event.properties"), ({"a": [{key: 1}]}, "event.properties.a[0]")):
        problem = the_problem(lambda properties=properties: Event.server("checked", properties=properties))  # type: ignore[misc]
        assert problem.field == field
        assert wrong in problem.wrong
        assert fix in problem.fix


def test_a_key_that_is_no_word_is_not_quoted() -> None:
    """Somebody's address may have become a key."""
    (field,) = problems_of(lambda: Event.server("checked", properties={"a": {"me@example.com": {1}}}))
    assert field == "event.properties.a[a key of 14 characters]"


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth - 1):
        value = [value] if level % 2 else {"a": value}
    return {"a": value}


def test_nesting_has_an_end() -> None:
    """64 levels pass, 65 do not."""
    assert encoded(Event.server("checked", project_id="p", properties=nested(64)))
    problem = the_problem(lambda: Event.server("checked", properties=nested(65)))
    assert (problem.field, problem.wrong) == ("event.properties", "is nested deeper than 64 levels")
    assert "cycle" in problem.fix


def test_a_cycle_ends_in_an_error() -> None:
    """Neither endless nor a RecursionError, also where it branches."""
    cycle: list[Any] = []
    cycle += [cycle, cycle, {"again": cycle}]
    with pytest.raises(ValueError, match="look for a cycle"):
        Event.server("checked", properties={"a": cycle})


def test_the_applications_decimal_context_changes_nothing() -> None:
    """A low precision or a trap of the application's is about its own arithmetic."""
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 2, 1, -1
        for signal in context.traps:
            context.traps[signal] = True
        assert text_of(Decimal("1234.56")) == "1234.56"
