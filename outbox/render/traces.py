"""Where something was raised that nobody foresaw, without its own words: these may quote a body, or a row."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

_CAUSED = "\nwhich led to:\n\n"


def trace(error: BaseException) -> str:
    """The stack and the type of an error, and of the errors that led to it, the first one first."""
    return _CAUSED.join(_one(each) for each in reversed([*_led_to(error)]))


def _one(error: BaseException) -> str:
    kind = type(error)
    stack = "".join(traceback.format_tb(error.__traceback__))
    return f"Traceback (most recent call last):\n{stack}{kind.__module__}.{kind.__qualname__}"


def _led_to(error: BaseException) -> Iterator[BaseException]:
    """The error, what it came from, and so on."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        yield each
        seen.add(id(each))
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
