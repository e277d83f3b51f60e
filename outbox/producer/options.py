"""What `enqueue` may be told beside the event: checked at the call, every problem named."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeAlias

from outbox.errors import Problem, did_you_mean
from outbox.event.moments import is_aware
from outbox.message import OnUnknown
from outbox.settings.destinations import NAME, own_variable

LONGEST_KEY = 200
"""Characters of a `dedup_key` or an `ordering_key`."""

LONGEST_DELAY = timedelta(days=3650)

OnUnknownWord: TypeAlias = Literal["retry", "park"] | OnUnknown
"""A word of `outbox.message.OnUnknown`, or the enum itself."""


class Options(NamedTuple):
    """When, where, and what to do in doubt."""

    destination: str
    """Empty where a problem says why."""
    on_unknown: str | None
    """None: the destination's settings and the event's name decide."""
    delay: float | None
    """Seconds from the INSERT, by the database's clock."""
    deliver_at: datetime | None


def check_options(
    problems: list[Problem],
    destinations: Collection[str],
    *,
    destination: Any,
    on_unknown: Any,
    delay: Any,
    deliver_at: Any,
) -> Options:
    """Read the options, adding what is wrong with them to `problems`. `destinations` are the names that are known."""
    if not isinstance(destination, str) or destination not in destinations:
        problems.append(_unconfigured(destination, tuple(destinations)))
        destination = ""
    if on_unknown is None and delay is None and deliver_at is None:  # most calls
        return Options(destination, None, None, None)
    if on_unknown not in (None, "retry", "park"):
        problems.append(_unknown_word("on_unknown", on_unknown, tuple(OnUnknown)))
    if delay is not None and deliver_at is not None:
        problems.append(Problem("deliver_at", "is given together with delay", "pass one of them"))
    return Options(
        destination,
        None if on_unknown is None else str(on_unknown),
        None if delay is None else _seconds(delay, problems),
        None if deliver_at is None else _moment(deliver_at, problems),
    )


def check_undelayed(options: Options, problems: list[Problem]) -> None:
    """Note what does not go with an `ordering_key`."""
    fix = "leave it out: messages of a key are sent in order, and a delayed one would hold up all behind it"
    for field, given in (("delay", options.delay), ("deliver_at", options.deliver_at)):
        if given is not None:
            problems.append(Problem(field, "is given together with an ordering key", fix))


def check_key(key: Any, problems: list[Problem], field: str) -> None:
    """Note what no key may look like: the database must compare it as Python does."""
    wrong = _wrong_key(key)
    if wrong:
        fix = f"pass 1 to {LONGEST_KEY} characters without control characters or spaces at the ends"
        problems.append(Problem(field, wrong, fix))


def _wrong_key(key: Any) -> str | None:
    if not isinstance(key, str):
        return f"is of type {type(key).__name__}, not str"
    if not 1 <= len(key) <= LONGEST_KEY:
        return f"has {len(key)} characters"
    if key != key.strip():  # MariaDB and MySQL compare "a" and "a " as equal
        return "begins or ends with white space"
    # Cc: control characters. Cs: lone surrogates, which no database stores.
    if not key.isprintable() and any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in key):
        return "holds a control character"
    return None


def _seconds(delay: Any, problems: list[Problem]) -> float:
    fix = "pass a timedelta, or seconds as a number, from 0 to 10 years"
    if isinstance(delay, timedelta):
        delay = delay.total_seconds()
    if isinstance(delay, bool) or not isinstance(delay, int | float):
        problems.append(Problem("delay", f"is of type {type(delay).__name__}", fix))
    elif math.isnan(delay) or delay < 0:
        problems.append(Problem("delay", "is negative" if delay < 0 else "is NaN", fix))
    elif delay > LONGEST_DELAY.total_seconds():
        problems.append(Problem("delay", f"is longer than {LONGEST_DELAY.days} days", fix))
    else:
        return float(delay)
    return 0.0


def _moment(deliver_at: Any, problems: list[Problem]) -> datetime | None:
    fix = "pass an aware datetime, such as datetime.now(UTC) + timedelta(hours=1)"
    if not isinstance(deliver_at, datetime):
        problems.append(Problem("deliver_at", f"is of type {type(deliver_at).__name__}, not datetime", fix))
    elif not is_aware(deliver_at):
        problems.append(Problem("deliver_at", "is a datetime without a timezone", fix))
    else:
        return deliver_at
    return None


def _unconfigured(name: Any, known: tuple[str, ...]) -> Problem:
    problem = _unknown_word("destination", name, known)
    if not (isinstance(name, str) and NAME.fullmatch(name)) or did_you_mean(name, known):
        return problem
    fix = f"set {own_variable(name, 'url')} or a table [destinations.{name}] here, or {problem.fix}"
    return replace(problem, wrong=f"{problem.wrong}, which is not configured here", fix=fix)


def _unknown_word(field: str, word: Any, known: tuple[str, ...]) -> Problem:
    named = repr(word[:40]) if isinstance(word, str) else f"of type {type(word).__name__}"
    meant = did_you_mean(word, known) if isinstance(word, str) else ""
    return Problem(field, f"is {named}{meant}", f"pass {' or '.join(known)}")
