"""An HTTP proxy on loopback, as a script of `RawServer`: tunnels for CONNECT, and plain requests passed on."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from urllib.parse import urlsplit

from support.raw_server import Connection, Script, answer


def proxying(*, user: str | None = None) -> Script:
    """Pass everything on; with `user` (`name:password`) only for those who say so, and others get a 407."""

    async def script(connection: Connection) -> None:
        received = await connection.request()
        if received is None:
            return
        if user is not None and received.header("Proxy-Authorization") != f"Basic {_encoded(user)}":
            await connection.send(answer(407, Proxy_Authenticate="Basic"))
            return
        method, target, _ = received.line.split(" ")
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            await _tunnel(connection, host, int(port), b"")
        else:
            parts = urlsplit(target)
            head = "".join(f"{key}: {value}\r\n" for key, value in received.headers if not key.startswith("Proxy-"))
            first = f"{method} {parts.path} HTTP/1.1\r\n{head}\r\n".encode() + received.body
            await _tunnel(connection, parts.hostname or "", parts.port or 80, first)

    return script


async def _tunnel(connection: Connection, host: str, port: int, first: bytes) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        if first:
            writer.write(first)
        else:
            await connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ways = (_pump(connection.reader, writer), _pump(reader, connection.writer))
        tasks = [asyncio.create_task(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
    finally:
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
