"""A loopback HTTP server that misbehaves as it is told: raw sockets, scripted one connection at a time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

PATH = "/api/v1/event"


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        """First value of a header, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
    """Write a well-formed answer; headers are named with underscores."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Connection:
    """One accepted connection, as a script sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    server: RawServer

    async def request(self) -> Received | None:
        """Read one whole request; None when the client has closed."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        line, *rest = head.rstrip("\r\n").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (each.partition(":") for each in rest)]
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        received = Received(line, headers, await self.reader.readexactly(length), self.number)
        self.server.requests.append(received)
        return received

    async def send(self, data: bytes) -> None:
        """Write all of it."""
        self.writer.write(data)
        await self.writer.drain()
        self.server.sent += len(data)

    async def drip(self, data: bytes) -> None:
        """Write one byte at a time."""
        for byte in data:
            await self.send(bytes([byte]))
            await asyncio.sleep(0.02)

    async def flood(self, data: bytes) -> None:
        """Write the same bytes for ever."""
        while True:
            await self.send(data)
            await asyncio.sleep(0)

    async def hang(self) -> None:
        """Say nothing more and keep the connection open."""
        await asyncio.Event().wait()

    def send_beneath_tls(self, data: bytes) -> None:
        """Write to the socket itself, past the encryption."""
        os.write(self.writer.get_extra_info("socket").fileno(), data)

    def half_close(self) -> None:
        """Close our direction only, where the transport can: TLS has no such thing in asyncio."""
        if self.writer.can_write_eof():
            self.writer.write_eof()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        peer: Any = self.writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Connection], Awaitable[None]]


@dataclass
class RawServer:
    """Runs `script` on every connection and closes the connection when the script returns."""

    script: Script
    tls: ssl.SSLContext | None = None
    port: int = 0
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    sent: int = 0

    @property
    def url(self) -> str:
        """Endpoint to POST to; over TLS by the name that certificates carry."""
        scheme, host = ("http", "127.0.0.1") if self.tls is None else ("https", "localhost")
        return f"{scheme}://{host}:{self.port}{PATH}"

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self.tls, backlog=256)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def stop_listening(self) -> None:
        """Refuse new connections from now on."""
        self._server.close()

    async def quiet(self) -> None:
        """Wait until every connection has been closed."""
        await asyncio.gather(*self._tasks)

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await self.script(Connection(reader, writer, self.connections, self))
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(writer.wait_closed(), 0.2)


def answers(*replies: bytes) -> Script:
    """Answer each request with the next reply, on connections kept alive; the last reply repeats."""
    queue = itertools.chain(replies, itertools.repeat(replies[-1]))

    async def script(connection: Connection) -> None:
        while await connection.request() is not None:
            await connection.send(next(queue))

    return script


def after_request(reply: bytes) -> Script:
    """Read one request, send raw bytes, close."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(reply)

    return script
