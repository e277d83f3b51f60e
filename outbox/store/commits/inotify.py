"""Linux's inotify: a descriptor that is readable when a watched file has been written."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable

_MODIFY = 0x2
_ENOUGH = 65_536


class Inotify:
    """Raises `OSError` where the kernel has none, or no more."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            msg = "only Linux tells of writes to a file"
            raise OSError(msg)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise _error()

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def watch(self, paths: Iterable[str]) -> None:
        """Watch the files that are there; those that are watched already stay so."""
        for path in paths:
            watched = self._libc.inotify_add_watch(self._descriptor, os.fsencode(path), _MODIFY)
            if watched < 0 and not isinstance(error := _error(), FileNotFoundError):
                raise error

    def drain(self) -> None:
        """Take in what it has told so far."""
        try:
            while os.read(self._descriptor, _ENOUGH):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """End all watches."""
        os.close(self._descriptor)


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
