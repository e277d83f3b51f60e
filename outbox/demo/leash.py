"""Run an `outbox` command that ends with the process that started it, however that one ends.

`python -m outbox.demo.leash PARENT ARGUMENT...`: on Linux the kernel is asked for a SIGKILL at the parent's death;
elsewhere the command simply runs. The command replaces this program, and so keeps its pid.
"""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, arguments: list[str]) -> None:
    """Tie this process to its parent and become `outbox`."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel was asked
            sys.exit(1)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "outbox", *arguments])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
