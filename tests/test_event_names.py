"""Event names: reserved, the browser's, and one's own."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from outbox.errors import OutboxWarning
from outbox.event import BROWSER_NAMES, RESERVED_NAMES, Event
from support.events import body, encoded, problems_of, the_problem


def named(name: Any) -> dict[str, Any]:
    given = body("minimal")
    given["event"]["name"] = name
    return given


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_reserved_names_are_accepted(name: str) -> None:
    """They feed the pre-built reports."""
    assert encoded(named(name)).name == name


@pytest.mark.parametrize("name", ["document_exported", "Document Exported", "a", "x" * 200, "支付", "a·👩‍💻"])
def test_custom_names_are_free(name: str) -> None:
    """The page recommends snake_case and does not require it."""
    assert encoded(named(name)).name == name


def test_a_misspelt_reserved_name_is_refused() -> None:
    """It would feed no report, and nobody would notice."""
    problem = the_problem(lambda: encoded(named("$subscription_purchse")))
    assert problem.field == "event.name"
    assert problem.wrong == "'$subscription_purchse' is not a reserved name (did you mean $subscription_purchase?)"
    assert "OUTBOX_ALLOW_NAMES" in problem.fix


def test_a_misspelt_reserved_name_of_an_event_is_refused() -> None:
    """Which names are allowed depends on the settings, so an Event hears of it when it is encoded."""
    problem = the_problem(lambda: encoded(Event.server("$sign_up", project_id="p")))
    assert "did you mean $signup?" in problem.wrong


def test_other_reserved_names_can_be_allowed() -> None:
    """The destination may learn names that this version does not know."""
    assert encoded(named("$trial_start"), allow_names=("$trial_start",)).name == "$trial_start"
    assert (
        "did you mean $trial_start?"
        in the_problem(lambda: encoded(named("$trial_strat"), allow_names=("$trial_start",))).wrong
    )


@pytest.mark.parametrize("name", sorted(BROWSER_NAMES))
def test_names_of_the_browser_sdk_are_warned_about(name: str) -> None:
    """The SDK emits them already: from a server they would count beside its own."""
    with pytest.warns(OutboxWarning, match="browser SDK emits"):
        assert encoded(named(name)).name == name


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_a_reserved_name_without_its_dollar_is_warned_about(name: str) -> None:
    """It is a legal custom name that feeds no report."""
    with pytest.warns(OutboxWarning, match=rf"did you mean \{name}\?"):
        encoded(named(name[1:]))


@pytest.mark.parametrize("name", ["signup", "$click"])
def test_a_name_that_is_allowed_is_not_warned_about(name: str) -> None:
    """Listing it in the settings says that it is meant."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoded(named(name), allow_names=(name,))


def test_the_warning_points_at_the_callers_line() -> None:
    """However deep in the outbox it arises, it shows a line of the application."""
    with pytest.warns(OutboxWarning) as caught:
        encoded(named("signup"))
    (warning,) = caught
    assert warning.filename == str(Path(__file__).parent / "support" / "events.py")
    with Path(warning.filename).open(encoding="utf-8") as source:
        assert source.readlines()[warning.lineno - 1].strip() == "return encode("


def test_a_refused_event_is_not_also_warned_about() -> None:
    """One word at a time: the refusal."""
    given = named("signup")
    given["event"]["context"] = "app"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(problems_of(lambda: encoded(given))) == {"event.context"}


@pytest.mark.parametrize(
    ("name", "wrong", "fix"),
    [
        (None, "is missing", "document_exported"),
        ("", "is empty", "document_exported"),
        (7, "is an int, not a str", "document_exported"),
        (b"signup", "is a bytes, not a str", "document_exported"),
        ("x" * 201, "has 201 characters", "at most 200"),
        (" exported", "' exported' begins or ends with a space", "strip it"),
        ("exported\n", r"'exported\n' begins or ends with a space", "strip it"),
        ("a\nb", r"'a\nb' holds a control character", "letters, digits and underscores"),
        ("a\x00b", r"'a\x00b' holds a control character", "letters, digits and underscores"),
        ("a\x1b[31m", r"'a\x1b[31m' holds a control character", "letters, digits and underscores"),
        ("a\u2028b", "holds a control character", "letters, digits and underscores"),
        ("a\udc80b", "holds a lone surrogate", "decode it"),
    ],
)
def test_a_name_that_is_none_is_refused(name: Any, wrong: str, fix: str) -> None:
    """In a body and by the constructor alike."""
    for call in (lambda: encoded(named(name)), lambda: Event.server(name)):
        problem = the_problem(call)
        assert problem.field == "event.name"
        assert wrong in problem.wrong
        assert fix in problem.fix


def test_a_long_word_is_quoted_in_part() -> None:
    """At most 40 characters of it."""
    problem = the_problem(lambda: encoded(named("$" + "x" * 150)))
    assert "'$" + "x" * 39 + "'…" in problem.wrong
    assert "x" * 40 not in str(problem)
