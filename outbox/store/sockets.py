"""The sockets under an engine's connections. Shut down from another thread, they free one that waits in vain.

A server, or what stands before it, can stop answering and still acknowledge every byte: no timeout of the kernel's ends
that, and libpq has none of its own.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, ExceptionContext, event

_DESCRIPTOR: dict[str, Callable[[Any], int]] = {
    "postgresql": lambda connection: int(connection.fileno()),
    "mysql": lambda connection: int(connection._sock.fileno()),  # noqa: SLF001 - PyMySQL has no public way to it
}


def track(engine: Engine) -> None:
    """Know the engine's sockets from now on; it has not connected yet. SQLite has none."""
    if engine.dialect.name in _DESCRIPTOR:
        _tracked[engine] = _Sockets(engine)


def cut(engine: Engine, seconds: float) -> None:
    """Shut down whatever is connected, because no answer came for so long."""
    if engine in _tracked:
        _tracked[engine].cut(seconds)


def cut_silence(engine: Engine, seconds: float) -> None:
    """Cut the engine's connections whenever a statement of its one thread has had no answer for so long."""
    if engine in _tracked:
        alarm = _Alarm(lambda: cut(engine, seconds), seconds)
        for name in ("before_cursor_execute", "commit"):
            event.listen(engine, name, alarm.set)
        for name in ("after_cursor_execute", "handle_error", "checkin"):
            event.listen(engine, name, alarm.clear)


class _Alarm:
    def __init__(self, ring: Callable[[], None], seconds: float) -> None:
        self._ring = ring
        self._seconds = seconds
        self._timer = threading.Timer(seconds, ring)

    def set(self, *_: object) -> None:
        self._timer.cancel()
        self._timer = threading.Timer(self._seconds, self._ring)
        self._timer.daemon = True
        self._timer.start()

    def clear(self, *_: object) -> None:
        self._timer.cancel()


class _Sockets:
    def __init__(self, engine: Engine) -> None:
        self._silence: float | None = None
        self._descriptor = _DESCRIPTOR[engine.dialect.name]
        # Duplicates: a driver closes its own descriptor when it pleases, and the number is somebody else's then.
        self._open: dict[Any, socket.socket] = {}
        self._lock = threading.Lock()
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "close", self._close)
        event.listen(engine, "handle_error", self._say_why)

    def cut(self, seconds: float) -> None:
        with self._lock:
            for each in self._open.values():
                self._silence = seconds
                with contextlib.suppress(OSError):  # the other side was quicker
                    each.shutdown(socket.SHUT_RDWR)

    def _connect(self, dialect: Any, _record: object, arguments: Any, options: Any) -> Any:
        self._silence = None
        connection = dialect.connect(*arguments, **options)
        with self._lock:
            self._open[connection] = socket.socket(fileno=os.dup(self._descriptor(connection)))
        return connection

    def _close(self, connection: Any, _record: object) -> None:
        with self._lock:
            if connection in self._open:
                self._open.pop(connection).close()

    def _say_why(self, context: ExceptionContext) -> None:
        """Note it on the driver's error, which tells of a connection that somebody closed."""
        if self._silence is not None:
            context.original_exception.add_note(f"no answer for {self._silence:g} s")


_tracked: WeakKeyDictionary[Engine, _Sockets] = WeakKeyDictionary()
