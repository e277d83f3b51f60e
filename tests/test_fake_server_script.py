from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from outbox.errors import ConfigurationError
from outbox.testing import Action, Request, Rule, Script, Step, Turns, parse


def _request(name: str = "an_event", key: str | None = "k") -> Request:
    request = Request("POST", "/api/v1/event", [] if key is None else [(b"Idempotency-Key", key.encode())])
    request.name = name
    return request


def _labels(script: Script, requests: Iterable[Request]) -> list[str]:
    labels = []
    for request in requests:
        step = script.decide(request)
        labels.append("ok" if step.action is Action.OK else step.label)
    return labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", "ok ok ok"),
        ("500", "500 500 500"),
        ("503 x2, 200", "503 503 200 200 200"),
        ("503 x2", "503 503 ok ok"),
        ("503, 500, 200", "503 500 200 200"),
        ("cycle: ok x2, 429", "ok ok 429 ok ok 429 ok"),
        ("cycle: 503", "503 503 503"),
        ("500 x1; 502 x1; 503", "500 502 503 503"),
        (" 503  x2 ,200 ", "503 503 200"),
        ("reset, close, hang, garbage, trickle", "reset close hang garbage trickle trickle"),
    ],
)
def test_steps_are_taken_in_turn(text: str, labels: str) -> None:
    """Steps follow each other; a last step without a count goes on, a counted one ends and leaves the rest to ok."""
    expected = labels.split()
    assert _labels(parse(text), [_request() for _ in expected]) == expected


def test_turns_are_counted_for_each_key_apart() -> None:
    """`per-key` gives each idempotency key the sequence from its beginning; requests without a key share one."""
    script = parse("per-key: 503 x2, ok")
    keys = ["a", "b", "a", "a", "b", "b", None, None, None]
    assert _labels(script, [_request(key=key) for key in keys]) == [
        "503",
        "503",
        "503",
        "ok",
        "503",
        "ok",
        "503",
        "503",
        "ok",
    ]


def test_rules_choose_by_name_and_key() -> None:
    """The first rule that matches decides; patterns are those of file names, and `$` and `.` mean themselves."""
    script = parse("name=bad_*: 400; name=$signup key=x?: 500 x1; key=dead: 410; ok")
    requests = [
        _request("bad_one"),
        _request("not_bad_one"),
        _request("$signup", "xy"),
        _request("$signup", "xy"),
        _request("$signup", "y"),
        _request(key="dead"),
        _request(key=None),
    ]
    assert _labels(script, requests) == ["400", "ok", "500", "ok", "ok", "410", "ok"]


def test_chances_come_about_as_often_as_they_say_and_repeat_with_a_seed() -> None:
    """10% and 2% of 10,000 requests are about 1,000 and 200, and one seed gives one sequence."""
    text = "10%: 500, 2%: reset, 204"
    labels = _labels(parse(text, seed=1), [_request() for _ in range(10_000)])
    counts = Counter(labels)
    assert set(counts) == {"500", "reset", "204"}
    assert abs(counts["500"] - 1000) < 150
    assert abs(counts["reset"] - 200) < 70
    assert labels == _labels(parse(text, seed=1), [_request() for _ in range(10_000)])
    assert labels != _labels(parse(text, seed=2), [_request() for _ in range(10_000)])


def test_what_chance_leaves_goes_to_the_next_rule() -> None:
    """Without a step of its own for the rest, a rule of chances passes on."""
    labels = Counter(_labels(parse("50%: 500; 201", seed=3), [_request() for _ in range(200)]))
    assert set(labels) == {"500", "201"}


def test_options_of_a_step_are_read() -> None:
    """Delay, Retry-After in both forms, location, size and pace arrive in the step."""
    steps = parse("429 retry-after=30 x1, 503 retry-after-date=1m x1, 302 location=http://h/p x1, delay=1s..3s").rules[
        0
    ]
    assert isinstance(steps.plan, Turns)
    assert steps.plan.steps == (
        Step(Action.STATUS, 429, headers=(("Retry-After", "30"),)),
        Step(Action.STATUS, 503, retry_after=60.0),
        Step(Action.STATUS, 302, headers=(("Location", "http://h/p"),)),
        Step(Action.OK, delay=(1.0, 3.0)),
    )
    [trickle] = parse("trickle every=50ms size=1KiB delay=2s").rules[0].plan.steps
    assert trickle == Step(Action.TRICKLE, delay=(2.0, 2.0), size=1024, every=0.05)


def test_a_drawn_delay_lies_in_its_range() -> None:
    """`delay=1s..3s` draws evenly between the two."""
    script = parse("delay=1s..3s", seed=1)
    drawn = [script.seconds(script.decide(_request())) for _ in range(100)]
    assert 1 <= min(drawn) < 1.5
    assert 2.5 < max(drawn) <= 3


@pytest.mark.parametrize(
    ("text", "at", "wrong"),
    [
        ("50", 1, "50 is not a status between 200 and 599"),
        ("600", 1, "600 is not a status between 200 and 599"),
        ("503 x2, 2oo", 9, "'2oo' is no action"),
        ("200, rest", 6, "'rest' is no action (did you mean reset?)"),
        ("503 x0", 5, "'x0' is not a count of 1 or more"),
        ("503 x2 delay=1s", 5, "'x2' is neither an option"),
        ("503 twice", 5, "'twice' is neither an option"),
        ("503,, 200", 5, "a step is missing"),
        ("503 x2;", 8, "a step is missing"),
        ("x2", 1, "a step is missing"),
        ("name=a:", 8, "a step is missing"),
        ("name=: 400", 1, "name= needs a pattern"),
        ("name=a name=b: 400", 1, "name is given twice"),
        ("nmae=a: 400", 1, "nmae= is no option"),
        ("foo: 400", 1, "'foo:' begins no rule"),
        ("500 dely=2s", 5, "dely= is no option (did you mean delay?)"),
        ("500 delay=2", 11, "'2' is no value of delay: expected a number and a unit"),
        ("delay=3s..1s", 7, "'3s..1s' is no value of delay: the range ends before it begins"),
        ("delay=1s delay=2s", 10, "delay= is given twice"),
        ("ok size=big", 9, "'big' is no value of size"),
        ("reset size=1KiB", 7, "size= has no meaning for reset"),
        ("500 every=1s", 5, "every= has no meaning for 500"),
        ("hang retry-after=1", 6, "retry-after= has no meaning for hang"),
        ("10%: 500, 95%: reset", 1, "the chances add up to 105%"),
        ("10%: 500 x2", 1, "a step by chance takes no count"),
        ("10%: 500, 200, 201", 16, "only the last step of a list of chances"),
        ("per-key: 10%: 500", 1, "per-key has no meaning for chances"),
        ("cycle: 10%: 500", 1, "cycle has no meaning for chances"),
        ("10%:", 5, "a step is missing"),
    ],
)
def test_a_script_that_cannot_be_read_says_what_is_wrong_where(text: str, at: int, wrong: str) -> None:
    """The error quotes the script, counts to the character, says what is wrong there, and shows right ones."""
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert caught.value.message.startswith(f"script {text!r}, character {at}: {wrong}")
    assert "503 x2, 200" in caught.value.hint


def test_a_rule_that_can_never_be_reached_is_refused() -> None:
    """A rule behind one that answers everything is a mistake, not a preference."""
    with pytest.raises(ConfigurationError, match="rule 1 of the script answers every request, so that rule 2 is never"):
        parse("503 x2, 200", "name=a: 400")
    parse("503 x2", "name=a: 400")


def test_a_reset_before_the_body_cannot_depend_on_a_name() -> None:
    """The name stands in the body."""
    with pytest.raises(ConfigurationError, match="rule 1 of the script resets before the body is read"):
        parse("name=a: reset-early")
    with pytest.raises(ConfigurationError, match="rule 2 of the script resets before the body is read, but rule 1"):
        parse("name=a: 400; reset-early")
    parse("reset-early x1; name=a: 400")


def test_scripts_can_be_built_in_python() -> None:
    """The classes behind the language are public."""
    script = Script([Rule(Turns((Step(Action.STATUS, 418),), (2,)), name="tea")])
    assert _labels(script, [_request("tea"), _request("coffee"), _request("tea"), _request("tea")]) == [
        "418",
        "ok",
        "418",
        "ok",
    ]
