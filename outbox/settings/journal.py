"""Whether what a process writes goes to systemd's journal."""

from __future__ import annotations

import os
from collections.abc import Mapping


def reaches_journal(descriptor: int, environ: Mapping[str, str] | None = None) -> bool:
    """Whether the descriptor is connected to the journal: `JOURNAL_STREAM` has its device and inode (systemd.exec(5)).

    The variable alone does not tell: children inherit it, whatever becomes of their output.
    """
    told = (os.environ if environ is None else environ).get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return told == f"{found.st_dev}:{found.st_ino}"
