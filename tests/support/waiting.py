"""Wait for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], *, timeout: float = 30.0, interval: float = 0.01) -> T:
    """Return the condition's first true value; fail when there is none within `timeout` seconds.

    An `AssertionError` of the condition counts as "not yet", so that a block of asserts can be one;
    at the end it is the failure that is shown.
    """
    deadline = time.monotonic() + timeout
    while True:
        last: AssertionError | None = None
        try:
            value = condition()
        except AssertionError as error:
            last = error
        else:
            if value:
                return value
        if time.monotonic() > deadline:
            name = getattr(condition, "__name__", repr(condition))
            msg = f"{name} did not come true within {timeout:g} s"
            raise AssertionError(msg) from last
        time.sleep(interval)
