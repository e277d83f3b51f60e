"""The destination: accepts most of what comes, fails at times by the seed, and remembers every POST."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections import Counter
from hashlib import sha256
from typing import Any, NamedTuple

from chaos.plan import TRY_SECONDS, Plan

OK = "200"
RESET = "reset"
TIMEOUT = "timeout"

_ANSWERS = {OK: 92.0, "500": 2.0, "503": 2.0, "429": 1.5, RESET: 1.5, TIMEOUT: 1.0}
_REFUSED = 0.003
"""The share of events that are refused for ever."""

_REQUEST = re.compile(rb"POST /worker/(\d+) HTTP/1\.1\r\n", re.ASCII)
_KEY = re.compile(rb"\r\nidempotency-key: *([^\r]+)\r\n", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Reception(NamedTuple):
    """One POST, in the order in which they came."""

    at: float
    """`time.monotonic()`."""
    key: str
    digest: str
    """Of the body's bytes."""
    marker: str
    """The event's own number, as the body has it."""
    worker: int
    """Who sent it: each worker has an endpoint of its own."""
    answer: str
    """A status, `reset` or `timeout`. Decided on arrival: after a delay nobody may be there."""

    @property
    def accepted(self) -> bool:
        """Whether the destination processed it and said so."""
        return self.answer == OK


class Destination:
    """Serves on the event loop that it is started in."""

    def __init__(self, plan: Plan) -> None:
        self.receptions: list[Reception] = []
        self.heard: dict[int, float] = {}
        """Workers that have sent something, and since when."""
        self._plan = plan
        self._times: Counter[str] = Counter()
        self._connections: set[asyncio.Transport] = set()

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=256)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        self._server.close()
        for each in list(self._connections):
            each.abort()
        await asyncio.sleep(0)

    def endpoint(self, worker: int) -> str:
        """Where that worker POSTs to."""
        return f"http://127.0.0.1:{self.port}/worker/{worker}"

    def receive(self, at: float, worker: int, key: str, body: bytes) -> tuple[str, float]:
        """Record a POST, and say what to answer after how many seconds."""
        marker = str(json.loads(body)["event"]["properties"]["marker"])
        self._times[marker] += 1
        answer, delay = self._choose(marker, self._times[marker])
        digest = sha256(body).hexdigest()
        self.receptions.append(Reception(at, key, digest, marker, worker, answer))
        self.heard.setdefault(worker, at)
        return answer, delay

    def _choose(self, marker: str, time: int) -> tuple[str, float]:
        if self._plan.random("refused", marker).random() < _REFUSED:
            return "422", 0.0
        chance = self._plan.random("answer", marker, time)
        (answer,) = chance.choices([*_ANSWERS], [*_ANSWERS.values()])
        if answer == TIMEOUT:
            return answer, TRY_SECONDS * 1.5
        is_slow = chance.random() < 0.01
        return answer, chance.uniform(0.1, 0.7 * TRY_SECONDS) if is_slow else chance.expovariate(1 / 0.004)

    def connected(self, transport: asyncio.Transport) -> None:
        """Note a connection, to be closed at the end."""
        self._connections.add(transport)

    def disconnected(self, transport: asyncio.Transport) -> None:
        """Forget a connection."""
        self._connections.discard(transport)


class _Connection(asyncio.Protocol):
    """One kept-alive connection; its requests come one after the other."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._destination.connected(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._destination.disconnected(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        head += b"\r\n"
        length = int(_one(_LENGTH, head))
        if len(rest) < length:
            return
        body, self._buffer = rest[:length], rest[length:]
        loop = asyncio.get_running_loop()
        worker, key = int(_one(_REQUEST, head)), _one(_KEY, head).decode()
        answer, delay = self._destination.receive(loop.time(), worker, key, body)
        loop.call_later(delay, self._answer, answer)

    def _answer(self, answer: str) -> None:
        if self._transport.is_closing():
            return
        if answer == RESET:
            linger = struct.pack("ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if answer in {RESET, TIMEOUT}:
            self._transport.abort()
            return
        self._transport.write(f"HTTP/1.1 {answer} Whatever\r\nContent-Length: 2\r\n\r\n{{}}".encode())


def _one(pattern: re.Pattern[bytes], head: bytes) -> bytes:
    found = pattern.search(head)
    if found is None:
        msg = f"no {pattern.pattern!r} in a request's head: {head!r}"
        raise ValueError(msg)
    return found[1]
