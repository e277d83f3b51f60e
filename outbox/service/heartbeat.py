"""The heartbeat file: touched at each beat of a worker's pulse, for `outbox health` to look at."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outbox.errors import ConfigurationError
from outbox.worker.pulse import Pulse

logger = logging.getLogger("outbox.worker")

# A link in a folder that others may write to would lead to a file of somebody else's; a pipe would make us wait.
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def heartbeat(path: str | None, pulse: Pulse) -> Iterator[None]:
    """Touch the file from now on, at each beat, and remove it at the end. None: there is none.

    Raises `ConfigurationError` where it cannot be made, or holds something. Trouble that comes later is logged once: no
    message waits because of it.
    """
    if path is None:
        yield
        return
    file = _File(path)
    file.make()
    pulse.subscribe(file.beat)
    try:
        yield
    finally:
        file.remove()


class _File:
    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._works = True

    def make(self) -> None:
        try:
            size = self._touch()
        except OSError as error:
            msg = f"OUTBOX_HEARTBEAT_FILE names {self._path}, which cannot be written: {error.strerror}"
            raise ConfigurationError(msg, hint="Check the path and its permissions.") from error
        if size:  # it is removed in the end
            msg = f"OUTBOX_HEARTBEAT_FILE names {self._path}, which holds something"
            raise ConfigurationError(msg, hint="Name a file that is the worker's own, such as /run/outbox/heartbeat.")

    def beat(self) -> None:
        try:
            self._touch()
        except OSError as error:
            if self._works:
                logger.warning("the heartbeat %s cannot be written: %s", self._path, error.strerror)
            self._works = False
        else:
            if not self._works:
                logger.warning("the heartbeat %s is written again", self._path)
            self._works = True

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _touch(self) -> int:
        """Make it now, and give its size. By one descriptor: a worker that ends may remove it at any moment."""
        descriptor = os.open(self._path, _FLAGS, 0o644)
        try:
            os.utime(descriptor)
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
