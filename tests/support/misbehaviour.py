"""What a destination can do wrong behind a request: one script each, over plain sockets and over TLS.

After every one of `STORIES` the event may have been processed, after none of `HANDSHAKES`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from support.raw_server import Connection, Script
from support.sending import BODY

OK = b"HTTP/1.1 200 OK\r\n"

LARGE = BODY + " " * 8 * 1024 * 1024
"""More than the buffers of two sockets take."""


CUT = tuple(f"{how} before the answer" for how in ("connection reset by peer", "connection closed", "broken pipe"))
"""The system decides what the client sees first of a connection that ends while it writes."""


class Story(NamedTuple):
    """What a destination does, and what is recorded of it."""

    script: Script
    errors: tuple[str, ...]
    """How the error begins; several where the systems' timing decides."""
    body: str = BODY
    """What is sent to it."""
    over: tuple[str, ...] = ("plain", "tls")


STORIES: dict[str, Story] = {}


def story(*errors: str, body: str = BODY, over: tuple[str, ...] = ("plain", "tls")) -> Callable[[Script], Script]:
    """Register a script. `{deadline}` in an error stands for the deadline of a try."""

    def register(script: Script) -> Script:
        STORIES[script.__name__] = Story(script, errors, body, over)
        return script

    return register


@story("no answer within {deadline}")
async def silence(connection: Connection) -> None:
    await connection.request()
    await connection.hang()


@story("no answer within {deadline}")
async def deaf(connection: Connection) -> None:
    await connection.hang()


@story("no answer within {deadline}")
async def header_drip(connection: Connection) -> None:
    await connection.request()
    await connection.drip(OK + b"a" * 1000)


@story("no whole answer within {deadline}")
async def body_drip(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Content-Length: 1000\r\n\r\n")
    await connection.drip(b"a" * 1000)


@story("no whole answer within {deadline}")
async def chunk_drip(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        await connection.drip(b"1\r\na\r\n")


@story("no answer within {deadline}")
async def interim_answers_for_ever(connection: Connection) -> None:
    await connection.request()
    await connection.flood(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 10)


@story("not an answer of HTTP's: message head is too large")
async def headers_for_ever(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK)
    await connection.flood(b"a: b\r\n" * 100)


@story("not an answer of HTTP's: message head is too large")
async def huge_header(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"a: " + b"b" * 1_000_000 + b"\r\n\r\n")


@story("not an answer of HTTP's: invalid HTTP version parsed")
async def garbage(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"\x00\xff\x1b[31m\r\n\r\n")


@story("not an answer of HTTP's: invalid HTTP status-code parsed")
async def status_without_meaning(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"HTTP/1.1 000 x\r\nContent-Length: 0\r\n\r\n")


@story("not an answer of HTTP's: invalid content-length parsed")
async def negative_length(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Content-Length: -1\r\n\r\nabc")


@story("not an answer of HTTP's: invalid content-length parsed")
async def two_lengths(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Content-Length: 1\r\nContent-Length: 3\r\n\r\nabc")


@story("not an answer of HTTP's: Invalid chunk size line")
async def broken_chunk(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc")


@story("connection closed in the answer")
async def cut_short(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Content-Length: 10\r\n\r\nabc")


@story("connection closed before the answer")
async def close_before_the_answer(connection: Connection) -> None:
    await connection.request()


@story("connection closed before the answer")
async def half_close(connection: Connection) -> None:
    await connection.request()
    connection.half_close()
    await asyncio.sleep(0.05)


@story("connection reset by peer before the answer")
async def reset_before_the_answer(connection: Connection) -> None:
    await connection.request()
    connection.reset()


@story("connection reset by peer before the answer")
async def reset_in_the_head(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Content-")
    await asyncio.sleep(0.05)
    connection.reset()


@story("connection reset by peer in the answer")
async def reset_in_the_body(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Content-Length: 10\r\n\r\nabc")
    await asyncio.sleep(0.05)
    connection.reset()


@story("no answer within {deadline}", body=LARGE)
async def deaf_to_a_large_body(connection: Connection) -> None:
    await connection.hang()


@story(*CUT)
async def close_at_once(connection: Connection) -> None:
    """Return at once: the request meets a closed connection."""


@story(*CUT)
async def reset_at_once(connection: Connection) -> None:
    await connection.reader.readexactly(1)  # else the system may tell of it as of a connection that was never made
    connection.reset()


@story(*CUT, body=LARGE)
async def reset_in_the_request(connection: Connection) -> None:
    await connection.reader.readexactly(100_000)
    connection.reset()


@story("connection closed before the answer")
async def close_in_the_head(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Content-")


@story("no answer within {deadline}")
async def silence_after_an_interim_answer(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    await connection.hang()


@story("connection closed before the answer")
async def close_after_an_interim_answer(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")


@story("not an answer of HTTP's: chunk extensions over limit")
async def chunk_extension_for_ever(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Transfer-Encoding: chunked\r\n\r\n1;")
    await connection.flood(b"a" * 1000)


@story("not an answer of HTTP's: invalid chunk size: overflow")
async def chunk_size_for_ever(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    await connection.flood(b"f" * 1000)


@story("not an answer of HTTP's: chunk trailers count overflow")
async def trailers_for_ever(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
    await connection.flood(b"a: b\r\n" * 100)


@story("no whole answer within {deadline}")
async def trailer_drip(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
    await connection.drip(b"a: " + b"b" * 1000)


@story("not an answer of HTTP's: message head is too large")
async def a_thousand_headers(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"".join(b"a%d: b\r\n" % number for number in range(1000)) + b"\r\n")


@story("not an answer of HTTP's: invalid HTTP header parsed")
async def nul_in_a_header(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"a: \0\r\n\r\n")


@story("not an answer of HTTP's: invalid HTTP version parsed")
async def another_protocol(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"220 mail.example.org ESMTP\r\n")
    await connection.hang()


@story("not an answer of HTTP's: invalid HTTP version parsed")
async def http_2(connection: Connection) -> None:
    await connection.request()
    await connection.send(bytes.fromhex("000000040000000000"))
    await connection.hang()


@story("not an answer of HTTP's: received corrupt message", over=("tls",))
async def plain_text_beneath_tls(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Content-Length: 10\r\n\r\nabc")
    await asyncio.sleep(0.05)
    connection.send_beneath_tls(b"HTTP/1.1 200 OK\r\n\r\n")
    await connection.hang()


HANDSHAKES: dict[str, tuple[Script, str]] = {}
"""What can go wrong before there is TLS: on a plain socket, met by `https://`; and how the error begins."""


def handshake(error: str) -> Callable[[Script], Script]:
    """Register a script. `{where}` in an error stands for the destination, `{limit}` for the time to connect."""

    def register(script: Script) -> Script:
        HANDSHAKES[script.__name__] = (script, error)
        return script

    return register


@handshake("no connection to {where} within {limit}")
async def stalled(connection: Connection) -> None:
    await connection.hang()


@handshake("no connection to {where} within {limit}")
async def dripped(connection: Connection) -> None:
    await connection.reader.read(1)
    await connection.drip(b"\x16\x03\x03\x04\x00" + b"\x02\x00\x03\xfc" + b"\x03" * 1000)


@handshake("TLS: {where} closed the connection during the handshake")
async def closed(connection: Connection) -> None:
    await connection.reader.read(65536)


@handshake("cannot connect to {where}: connection reset by peer")
async def reset(connection: Connection) -> None:
    await connection.reader.read(1)
    connection.reset()


@handshake("cannot connect to {where}: received corrupt message of type InvalidContentType")
async def not_tls(connection: Connection) -> None:
    await connection.send(b"220 mail.example.org ESMTP\r\n" * 100)
    await connection.hang()


@handshake("cannot connect to {where}: received fatal alert: ProtocolVersion")
async def too_old(connection: Connection) -> None:
    await connection.reader.read(1)
    await connection.send(bytes.fromhex("15030300020246"))
    await connection.hang()
