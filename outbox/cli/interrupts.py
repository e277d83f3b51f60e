"""Ctrl-C and SIGTERM, noted for a good moment to stop at."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_GLANCE = 0.05
"""Seconds between two looks at whether to stop while nothing is to be done."""


class Stop:
    """Whether somebody has asked to stop."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until asked to stop; whether to stop."""
        until = time.monotonic() + seconds
        while self.signal is None and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _GLANCE))
        return self.signal is not None


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Let the first signal be noted, so that a transaction is not cut off; the next one ends the command at once."""
    stop = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _frame: FrameType | None) -> None:
        stop.signal = number
        restore()

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, note)
    try:
        yield stop
    finally:
        restore()
