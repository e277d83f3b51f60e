"""One connection: HTTP/1.1 in, steps out, in the order of the requests."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import deque
from typing import Protocol, cast

import httptools

from outbox.errors import OutboxError
from outbox.testing.answers import End, Play, perform
from outbox.testing.request import Request
from outbox.testing.steps import Action, Step

MAX_HEAD = 64 * 1024
MAX_BODY = 8 * 1024 * 1024
_MAX_PIPELINED = 32
_MAX_UNSENT = 1024 * 1024
_LINGER = 2.0
"""Seconds in which a client that is still sending may read why it was refused."""


class Handler(Protocol):
    """What a connection asks of the server."""

    connections: set[Connection]

    def early(self, request: Request) -> Step | None:
        """Decide before the body is read, or not yet."""

    def handle(self, request: Request) -> tuple[Step, float]:
        """Decide and record; the step, and the seconds until it is performed."""

    def fail(self, error: OutboxError) -> None:
        """Learn that a request could not be recorded."""


class Connection(asyncio.Protocol):
    """The parser's callbacks fill a request; whole requests queue up and are answered one by one."""

    def __init__(self, server: Handler) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._busy = False
        self._ended = False
        """The client has sent its last byte."""
        self._deaf = False
        """What else the client sends is not read: its last request is in, or it was refused."""
        self._silent = False
        """Nothing more will be said to the client."""
        self._continue_owed = False
        self._timer: asyncio.TimerHandle | None = None
        self._request: Request | None = None
        self._begin_message()

    # -- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was planned: nobody is there."""
        self._server.connections.discard(self)
        self._waiting.clear()
        self._deaf = True
        self._stop_timer()

    def data_received(self, data: bytes) -> None:
        """Parse; the callbacks below do the rest."""
        if self._deaf:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            raise  # a mistake in what we run, such as a script written in Python: not the client's
        except httptools.HttpParserError:
            self._refuse(400)
        else:
            self._watch_head(len(data))

    def eof_received(self) -> bool:
        """A client that closed its half is still owed the answers to what it asked."""
        self._ended = True
        return self._busy and not self._silent and self._transport.can_write_eof()

    def abort(self) -> None:
        """Reset the connection."""
        reset(self._transport)

    # -- httptools

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begin_message()
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        """Part of the request's target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is ignored."""
        if self._in_head:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Decide what can be decided without the body."""
        self._in_head = False
        if self._deaf:
            return
        method = self._parser.get_method().decode("ascii")
        request = self._request = Request(method, self._target.decode("utf-8", "backslashreplace"), self._headers)
        if self._parser.should_upgrade():
            self._refuse(501)
        elif sum(len(name) + len(value) for name, value in self._headers) + len(self._target) > MAX_HEAD:
            self._refuse(431)
        elif b"host" not in request.fields and self._parser.get_http_version() == "1.1":
            self._refuse(400)
        elif int(request.fields.get(b"content-length", 0)) > MAX_BODY:
            self._refuse(413)
        else:
            self._expect_body(request)

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        if self._deaf:
            return
        self._parts.append(body)
        self._length += len(body)
        if self._length > MAX_BODY:
            self._refuse(413)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._deaf or self._request is None:
            return
        self._continue_owed = False
        request, self._request = self._request, None
        request.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        request.keep_alive = self._parser.should_keep_alive()
        self._take(request, deaf=not request.keep_alive)

    # -- requests in, steps out

    def _expect_body(self, request: Request) -> None:
        request.step = self._server.early(request)
        if request.step is not None and request.step.action is Action.RESET_EARLY:
            self._take(request, deaf=True)
        elif request.fields.get(b"expect", b"").lower() == b"100-continue":
            self._continue_owed = True
            self._continue()

    def _begin_message(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._length = 0
        self._request = None
        self._in_head = False
        self._head_length: int | None = None

    def _watch_head(self, length: int) -> None:
        """Refuse headers that never end. The read in which they begin is not counted: it may hold a body too."""
        if not self._in_head:
            return
        self._head_length = 0 if self._head_length is None else self._head_length + length
        if self._head_length > MAX_HEAD:
            self._refuse(431)

    def _refuse(self, status: int) -> None:
        """Answer by HTTP's own rules, in its turn, and end the connection."""
        if self._deaf:
            return
        request = self._request or Request("", "", [])
        request.refused = status
        request.keep_alive = False
        self._take(request, deaf=True)

    def _take(self, request: Request, *, deaf: bool) -> None:
        self._deaf = self._deaf or deaf
        self._waiting.append(request)
        if not self._busy:
            self._serve()
        elif len(self._waiting) == _MAX_PIPELINED:
            self._transport.pause_reading()

    def _serve(self) -> None:
        while self._waiting and not self._busy:
            request = self._waiting.popleft()
            if len(self._waiting) == _MAX_PIPELINED - 1:
                self._transport.resume_reading()
            self._busy = True
            try:
                step, seconds = self._server.handle(request)
            except OutboxError as error:
                self._server.fail(error)
                self.abort()
                return
            if seconds:
                self._timer = self._loop.call_later(seconds, self._perform, step, request, True)
            else:
                self._perform(step, request)

    def _perform(self, step: Step, request: Request, late: bool = False) -> None:  # noqa: FBT001, FBT002 - a timer's argument
        play = perform(step, request)
        if play.first:
            self._transport.write(play.first)
        if play.more is None:
            self._finish(play.end, request)
        else:
            self._timer = self._loop.call_later(play.every, self._go_on, play, request)
        if late:
            self._serve()

    def _go_on(self, play: Play, request: Request) -> None:
        assert play.more is not None  # noqa: S101 - for mypy
        if self._transport.get_write_buffer_size() < _MAX_UNSENT:
            piece = next(play.more, None)
            if piece is None:
                self._finish(play.end, request)
                self._serve()
                return
            self._transport.write(piece)
        self._timer = self._loop.call_later(play.every, self._go_on, play, request)

    def _finish(self, end: End, request: Request) -> None:
        if end is End.KEEP and request.keep_alive and not (self._ended and not self._waiting):
            self._busy = False
            self._continue()
        elif end is End.RESET:
            self.abort()
        elif end is End.HANG:
            self._hang()
        elif request.refused is not None:
            self._linger()
        else:
            self._transport.close()

    def _hang(self) -> None:
        self._silent = True
        if self._ended:
            self._transport.close()

    def _linger(self) -> None:
        """Close in a way that lets the answer be read by a client that is still sending (RFC 9112, 9.6)."""
        self._silent = True
        if self._ended or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
            self._timer = self._loop.call_later(_LINGER, self._transport.close)

    def _continue(self) -> None:
        if self._continue_owed and not self._busy and not self._waiting:
            self._continue_owed = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def reset(transport: asyncio.Transport) -> None:
    """Close with a TCP reset instead of an orderly end: linger on, for no time."""
    handle = transport.get_extra_info("socket")
    if handle is not None and handle.fileno() >= 0:
        with socket.socket(fileno=os.dup(handle.fileno())) as twin:
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
