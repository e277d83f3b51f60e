"""What surrounds the tour: a folder that goes when it ends, and signals that let it end what it has started."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn


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
def ends_cleanly() -> Iterator[None]:
    """Have SIGTERM and a closed terminal unwind the block as Ctrl-C does, so that nothing is left behind."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    ours = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_DFL]
    for number in ours:  # nohup has SIGHUP ignored, and means it
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
