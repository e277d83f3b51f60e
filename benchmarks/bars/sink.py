"""A destination that costs little: a process of its own that answers 200, after a delay if asked for."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_double, c_longlong
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any, TypeAlias

import uvloop

from support.waiting import eventually

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

Seen: TypeAlias = tuple[Any, ...]
"""Numbers in memory that both processes have, in the order of a `Sink`'s."""

_spawn = multiprocessing.get_context("spawn")


@dataclass
class Sink:
    """What arrived, of the requests that hold a marker."""

    url: str
    _count: Any
    _first: Any
    _last: Any
    _answered: Any
    _held: Any

    @property
    def count(self) -> int:
        """Requests so far."""
        return int(self._count.value)

    @property
    def last(self) -> float:
        """When the last one arrived, by `time.perf_counter`, which is the machine's."""
        return float(self._last.value)

    @property
    def rate(self) -> float:
        """Requests a second, from the first to the last."""
        return (self.count - 1) / float(self._last.value - self._first.value)

    @property
    def held(self) -> tuple[int, float]:
        """Requests that were answered after a delay, and the seconds from when each was read to its answer, together."""
        return int(self._answered.value), float(self._held.value)

    def clear(self) -> None:
        """Begin anew."""
        self._count.value = self._answered.value = 0
        self._held.value = 0.0

    def wait_for(self, count: int, timeout: float = 600.0) -> None:
        """Wait until so many have arrived."""
        eventually(lambda: self.count >= count, timeout=timeout, interval=0.02)


class _Connection(asyncio.Protocol):
    """Reads no more of a request than where it ends."""

    def __init__(self, marker: bytes, delay: float, seen: Seen) -> None:
        self._marker = marker
        self._delay = delay
        self._count, self._first, self._last, self._answered, self._held = seen
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := _request_end(self._received)) is not None:
            request, self._received = self._received[:end], self._received[end:]
            if self._marker in request:
                self._note()
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._answer_late, time.perf_counter())
            else:
                self._answer()

    def _answer_late(self, received: float) -> None:
        self._held.value += time.perf_counter() - received
        self._answered.value += 1
        self._answer()

    def _answer(self) -> None:
        if not self._transport.is_closing():  # a worker that was killed meanwhile needs none
            self._transport.write(_ANSWER)

    def _note(self) -> None:
        now = time.perf_counter()
        if self._count.value == 0:
            self._first.value = now
        self._last.value = now
        self._count.value += 1


def _request_end(data: bytes) -> int | None:
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return None
    start = data[:head].lower().index(b"\r\ncontent-length:") + 17
    end = head + 4 + int(data[start : head + 4].split(b"\r", 1)[0])
    return end if len(data) >= end else None


def _serve(pipe: Pipe, marker: bytes, delay: float, seen: Seen) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(marker, delay, seen), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


@contextmanager
def sink(*, delay: float = 0.0, marker: str = "") -> Iterator[Sink]:
    """Run one that counts the requests that hold the marker, and answers each after `delay` seconds."""
    ours, theirs = _spawn.Pipe()
    seen = tuple(_spawn.RawValue(each, 0) for each in (c_longlong, c_double, c_double, c_longlong, c_double))
    process = _spawn.Process(target=_serve, args=(theirs, marker.encode(), delay, seen), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Sink(f"http://127.0.0.1:{ours.recv()}/api/v1/event", *seen)
    finally:
        process.terminate()
        process.join()
