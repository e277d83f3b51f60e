"""Options that say which messages are meant, the same for every command that takes them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from outbox.event.moments import rfc3339
from outbox.message import FailureReason, State
from outbox.settings.values import CENTURY, duration

if TYPE_CHECKING:
    from outbox.store.look import Filters, Moment

_LONGEST = 500


class FilterText(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """Text to compare with stored text: what no database can hold is refused here."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check that it can be stored."""
        text = str(value)
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            self.fail("it is not UTF-8 text", param, ctx)
        if "\0" in text:
            self.fail("it holds a NUL, which no stored text does", param, ctx)
        if not 0 < size <= _LONGEST:
            self.fail(f"expected 1 to {_LONGEST} bytes of text", param, ctx)
        return text


class MomentType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """A point in time: RFC 3339, or how long ago."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Moment:
        """Read `2h`, `2026-01-31` or `2026-01-31T12:00:00Z`; what names no offset is UTC."""
        try:
            return _moment(str(value))
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r}: expected a time such as 2026-01-31T12:00:00Z, or how long ago: 30m, 2h, 7d", param, ctx
            )


def _moment(text: str) -> Moment:
    if re.fullmatch(r"[\d.]+[a-z]+", text, re.ASCII):
        return timedelta(seconds=min(duration(text), CENTURY))
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


class StatusType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """HTTP statuses: `503`, `5xx`, or `none` where there was no answer."""

    name = "status"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:
        """Read one status or a class of them."""
        try:
            return _statuses(str(value).lower())
        except ValueError:
            self.fail(f"{value!r}: expected an HTTP status from 100 to 599, a class such as 5xx, or none", param, ctx)


def _statuses(text: str) -> range:
    if text == "none":
        return range(0)
    if re.fullmatch(r"[1-5]xx", text):
        first = int(text[0]) * 100
        return range(first, first + 100)
    if re.fullmatch(r"[1-5]\d\d", text, re.ASCII):
        return range(int(text), int(text) + 1)
    raise ValueError(text)


_OPTIONS = (
    click.option("--name", type=FilterText(), metavar="NAME", help="Event name; * stands for any text."),
    click.option(
        "--since", type=MomentType(), metavar="TIME", help="Created then or later: RFC 3339, or 2h for 2 hours ago."
    ),
    click.option("--until", type=MomentType(), metavar="TIME", help="Created before."),
    click.option("--error", type=FilterText(), metavar="TEXT", help="Part of the last error, in either case."),
    click.option("--status", type=StatusType(), metavar="STATUS", help="Last HTTP status: 503, 5xx, or none."),
    click.option("--destination", type=FilterText(), metavar="NAME", help="Destination."),
    click.option(
        "--failure-reason", type=click.Choice([each.value for each in FailureReason]), help="Why they are failed."
    ),
    click.option("--failed-before", type=MomentType(), metavar="TIME", help="Failed before."),
)
_STATE = click.option("--state", type=click.Choice([each.value for each in State]), help="State.")
_NAMES = ("name", "since", "until", "error", "status", "destination", "failure_reason", "failed_before")


def filter_options(*, state: State | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the filters' options; the command gets one `filters: Filters`. A given `state` is no option."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def build(*args: Any, **options: Any) -> Any:
            from outbox.store.look import Filters

            chosen = {name: options.pop(name) for name in _NAMES}
            if chosen["failure_reason"]:
                chosen["failure_reason"] = FailureReason(chosen["failure_reason"])
            word = state or options.pop("state")
            wanted = State(word) if word else None
            return command(*args, filters=Filters(state=wanted, **chosen), **options)

        wrapped: Callable[..., Any] = build
        for option in reversed(_OPTIONS if state else (_STATE, *_OPTIONS)):
            wrapped = option(wrapped)
        return wrapped

    return decorate


def is_narrowed(filters: Filters) -> bool:
    """Whether anything but a state was asked for."""
    return any(getattr(filters, name) is not None for name in _NAMES)


def as_options(filters: Filters) -> list[str]:
    """The options that ask for the same messages; the state is left out."""
    return [word for name in _NAMES if (value := getattr(filters, name)) is not None for word in _option(name, value)]


def _option(name: str, value: Any) -> tuple[str, str]:
    return f"--{name.replace('_', '-')}", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return rfc3339(value, micros=True)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():f}s"
    return _shown_status(value) if isinstance(value, range) else str(value)


def _shown_status(status: range) -> str:
    if not status:
        return "none"
    return str(status.start) if len(status) == 1 else f"{status.start // 100}xx"
