"""A destination that misbehaves: every try ends in time, with the right certainty, and never by an exception."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable

import pytest

from outbox.message import Attempt, Certainty, Delivered, Failed, Outcome, Retry
from support.raw_server import Connection, RawServer, Script, after_request, answer
from support.sending import delivering, message, server_tls

DEADLINE = 0.6
OK = b"HTTP/1.1 200 OK\r\n"

STORIES: dict[str, tuple[Script, str]] = {}
"""Script, and how the recorded error begins, by name."""


def story(error: str) -> Callable[[Script], Script]:
    def register(script: Script) -> Script:
        STORIES[script.__name__] = (script, error)
        return script

    return register


@story("no answer within 600ms")
async def silence(connection: Connection) -> None:
    await connection.request()
    await connection.hang()


@story("no answer within 600ms")
async def deaf(connection: Connection) -> None:
    await connection.hang()


@story("no answer within 600ms")
async def header_drip(connection: Connection) -> None:
    await connection.request()
    await connection.drip(OK + b"a" * 1000)


@story("no whole answer within 600ms")
async def body_drip(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Content-Length: 1000\r\n\r\n")
    await connection.drip(b"a" * 1000)


@story("no whole answer within 600ms")
async def chunk_drip(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        await connection.drip(b"1\r\na\r\n")


@story("no answer within 600ms")
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


def attempt_of(outcome: Outcome | None) -> Attempt:
    assert isinstance(outcome, Retry | Failed)
    return outcome.attempt


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("name", STORIES)
def test_every_misbehaviour_ends_in_time_as_unknown(name: str, tls: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Nobody can say whether the event was processed: recorded as such, in one sentence, within the deadline."""
    script, error = STORIES[name]

    async def send() -> None:
        context = server_tls("localhost") if tls else None
        async with RawServer(script, context) as server, delivering(server.url, try_timeout=DEADLINE) as delivery:
            began = time.monotonic()
            attempt = attempt_of(await delivery.attempt(message()))
            assert time.monotonic() - began <= DEADLINE + 0.5
            assert server.connections == 1
            assert attempt.certainty is Certainty.UNKNOWN
            assert (attempt.tries, attempt.status, attempt.response) == (1, None, None)
            assert attempt.error.startswith(error)
            assert "http://" not in attempt.error

    asyncio.run(send())


@pytest.mark.parametrize("status", [200, 400])
def test_an_endless_answer_is_cut_off(status: int) -> None:
    """The status is enough: an answer that does not end is neither waited for nor kept."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(f"HTTP/1.1 {status} x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        await connection.flood(b"1000\r\n" + b"a" * 4096 + b"\r\n")

    async def send() -> None:
        async with RawServer(script) as server, delivering(server.url, try_timeout=5.0) as delivery:
            began = time.monotonic()
            outcome = await delivery.attempt(message())
            assert time.monotonic() - began < 2
            if status == 200:
                assert outcome == Delivered(200)
            else:
                assert attempt_of(outcome).response == "a" * 1000
            # What fits into the buffers of two sockets, and not a stream of its own.
            assert server.sent < 16 * 1024 * 1024

    asyncio.run(send())


def test_memory_stays_bounded() -> None:
    """Two hundred huge answers leave nothing behind."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 400 x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await connection.flood(b"4000\r\n" + b"a" * 0x4000 + b"\r\n")

    async def send() -> None:
        async with RawServer(script) as server, delivering(server.url) as delivery:
            await asyncio.gather(*(delivery.attempt(message()) for _ in range(20)))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for _ in range(9):
                await asyncio.gather(*(delivery.attempt(message()) for _ in range(20)))
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024

    asyncio.run(send())


def test_a_stale_connection_is_in_doubt() -> None:
    """A server that closes an idle connection just as we POST may have read the request."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer())
        await connection.request()
        connection.reset()

    async def send() -> None:
        async with RawServer(script) as server, delivering(server.url) as delivery:
            assert await delivery.attempt(message()) == Delivered(200)
            attempt = attempt_of(await delivery.attempt(message()))
            assert attempt.certainty is Certainty.UNKNOWN
            assert (len(server.requests), server.connections) == (2, 1)

    asyncio.run(send())


def test_a_second_answer_to_one_request_is_not_taken_for_the_next() -> None:
    """What a server sends beyond its answer never counts as the answer to another message."""

    async def send() -> None:
        async with RawServer(after_request(answer() + answer(299))) as server, delivering(server.url) as delivery:
            assert await delivery.attempt(message()) == Delivered(200)
            assert await delivery.attempt(message()) == Delivered(200)
            assert server.connections == 2

    asyncio.run(send())


def test_park_sends_nothing_twice_after_a_doubt() -> None:
    """With `park` a reset is one POST and a failed message."""

    async def send() -> None:
        async with RawServer(reset_before_the_answer) as server, delivering(server.url) as delivery:
            outcome = await delivery.attempt(message(on_unknown="park"))
            assert isinstance(outcome, Failed)
            assert len(server.requests) == 1

    asyncio.run(send())
