"""What work costs the process that does it."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any


def measured(work: Callable[[], int]) -> dict[str, Any]:
    """Do the work, which gives how many events it has done, and say what it cost this process and all its threads.

    CPU is user and system time by getrusage: SQLite's is in it, a server's is not.
    """
    cpu, began = cpu_seconds(), time.perf_counter()
    done = work()
    return {"seconds": time.perf_counter() - began, "cpu_seconds": cpu_seconds() - cpu, "done": done}


def cpu_seconds() -> float:
    """CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
