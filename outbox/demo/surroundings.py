"""What surrounds the tour: a folder that goes when it ends, and signals that let it end what it has started."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


@contextmanager
def temporary_folder(*, keep: bool) -> Iterator[Path]:
    """Make a folder for the block; remove it afterwards unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="outbox-demo-")).resolve()
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def ends_cleanly() -> Iterator[Callable[[], None]]:
    """Note Ctrl-C, SIGTERM and a closed terminal, and give a check that then raises, to be called now and then.

    Raised wherever it happens to come, an interrupt would leave what threads share in a half state: a lock, a coroutine
    that nobody awaits. Raised by the check, it unwinds the block in order.
    """
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    def check() -> None:
        if came:
            raise KeyboardInterrupt if came[0] == signal.SIGINT else SystemExit(128 + came[0])

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    ours = {each: was for each, was in before.items() if was is not signal.SIG_IGN}  # nohup ignores, and means it
    for number in ours:
        signal.signal(number, note)
    try:
        yield check
    finally:
        for number, was in ours.items():
            signal.signal(number, was)
