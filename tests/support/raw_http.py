"""A client that writes exactly the bytes it is told to, and shows exactly what came back."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

BODIES = Path(__file__).parent.parent / "data" / "bodies"
MINIMAL = (BODIES / "minimal.json").read_bytes()
JSON = {"Content-Type": "application/json"}
OUTBOX = Path(sys.executable).parent / "outbox"


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


def post(url: str, body: bytes = MINIMAL, *, key: str | None = None, **headers: str) -> Answer:
    """POST on a connection of its own. Header names are given with `_` for `-`."""
    with client(url) as connection:
        return send(connection, url, body, key=key, **headers)


def send(
    connection: http.client.HTTPConnection, url: str, body: bytes = MINIMAL, *, key: str | None = None, **headers: str
) -> Answer:
    """POST on an open connection."""
    fields = JSON | ({} if key is None else {"Idempotency-Key": key})
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", urlsplit(url).path, body, fields)
    with connection.getresponse() as response:
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


@contextmanager
def client(url: str, timeout: float = 10.0) -> Iterator[http.client.HTTPConnection]:
    """An HTTP connection, closed at the end."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def raw(url: str, timeout: float = 10.0) -> Iterator[socket.socket]:
    """A TCP connection, closed at the end."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=timeout) as connection:
        yield connection


def request_bytes(body: bytes = MINIMAL, *, key: str = "k", extra: str = "") -> bytes:
    """A POST as it stands on the wire."""
    head = (
        f"POST /api/v1/event HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    )
    return head.encode() + body


def read_all(connection: socket.socket) -> bytes:
    """Everything until the server's end of the connection. Raises `ConnectionResetError` where that is a reset."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    """Everything until the mark has arrived."""
    got = b""
    while mark not in got:
        part = connection.recv(65536)
        assert part, f"ended before {mark!r}: {got!r}"
        got += part
    return got


@contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`outbox fake-server` as a process of its own: the process, and the endpoint it printed."""
    with subprocess.Popen(
        [OUTBOX, "fake-server", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first.startswith("OUTBOX_ENDPOINT="), first + (process.stderr.read() if process.stderr else "")
            yield process, first.strip().partition("=")[2]
        finally:
            process.kill()
