"""A TCP proxy before a server that can be told to fall silent: everything is acknowledged, nothing is answered."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from dataclasses import dataclass
from typing import Self

_PIECE = 65_536


@dataclass
class _Pair:
    """A client's connection and the one that was made for it."""

    client: socket.socket
    server: socket.socket
    silent: bool

    def serve(self) -> None:
        """Forward, or swallow, until one side closes."""
        with self.client, self.server, contextlib.suppress(OSError):
            while True:
                ready, _, _ = select.select([self.client, self.server], [], [])
                for source in ready:
                    piece = source.recv(_PIECE)
                    if not piece:
                        return
                    if not self.silent:
                        (self.server if source is self.client else self.client).sendall(piece)

    def cut(self) -> None:
        """Have `serve` end."""
        with contextlib.suppress(OSError):
            self.client.shutdown(socket.SHUT_RDWR)


class StallingProxy:
    """Forwards connections to a port of this machine: `with StallingProxy(server.port) as proxy: proxy.stall()`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._stalled = False
        self._pairs: list[_Pair] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def stall(self) -> None:
        """Swallow from now on whatever comes, on connections that are there and on new ones."""
        with self._lock:
            self._stalled = True
            for pair in self._pairs:
                pair.silent = True

    def resume(self) -> None:
        """Forward new connections again; those that were stalled stay silent for ever."""
        with self._lock:
            self._stalled = False

    def cut(self) -> None:
        """Close every connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it listens no more
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except ConnectionRefusedError:
                    client.close()
                    continue
                with self._lock:
                    pair = _Pair(client, server, self._stalled)
                    self._pairs.append(pair)
                threading.Thread(target=pair.serve, daemon=True).start()
