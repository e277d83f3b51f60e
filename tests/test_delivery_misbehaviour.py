"""A destination that misbehaves: every try ends in time, with the right certainty, and never by an exception."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from pathlib import Path

import pytest

from outbox.message import Attempt, Certainty, Delivered, Failed, Outcome, Retry
from support.misbehaviour import CUT, LARGE, STORIES, reset_before_the_answer
from support.raw_server import Connection, RawServer, after_request, answer
from support.sending import delivering, message, server_tls

DEADLINE = 0.6


def attempt_of(outcome: Outcome | None) -> Attempt:
    assert isinstance(outcome, Retry | Failed)
    return outcome.attempt


@pytest.mark.parametrize(("name", "over"), [(name, over) for name, each in STORIES.items() for over in each.over])
def test_every_misbehaviour_ends_in_time_as_unknown(name: str, over: str) -> None:
    """Nobody can say whether the event was processed: recorded as such, in one sentence, within the deadline."""
    story = STORIES[name]

    async def send() -> None:
        context = server_tls("localhost") if over == "tls" else None
        async with RawServer(story.script, context) as server, delivering(server.url, try_timeout=DEADLINE) as delivery:
            began = time.monotonic()
            attempt = attempt_of(await delivery.attempt(message(body=story.body)))
            assert time.monotonic() - began <= DEADLINE + 0.5
            assert server.connections == 1
            assert attempt.certainty is Certainty.UNKNOWN
            assert (attempt.tries, attempt.status, attempt.response) == (1, None, None)
            assert attempt.error.startswith(tuple(each.format(deadline="600ms") for each in story.errors))
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


@pytest.mark.parametrize("end", ["reset", "close"])
def test_a_stale_connection_is_in_doubt(end: str) -> None:
    """A server that ends an idle connection just as we POST may have read the request."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer())
        await connection.request()
        if end == "reset":
            connection.reset()

    async def send() -> None:
        async with RawServer(script) as server, delivering(server.url) as delivery:
            assert await delivery.attempt(message()) == Delivered(200)
            attempt = attempt_of(await delivery.attempt(message()))
            assert attempt.certainty is Certainty.UNKNOWN
            assert (len(server.requests), server.connections) == (2, 1)

    asyncio.run(send())


def test_a_connection_that_was_closed_while_idle_is_not_used() -> None:
    """What the client has seen close costs no doubt: the next message goes over a new connection, once."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer())
        connection.half_close()
        await connection.reader.read()  # ends when the client has seen the end, and has closed its own side

    async def send() -> None:
        async with RawServer(script) as server, delivering(server.url) as delivery:
            assert await delivery.attempt(message()) == Delivered(200)
            await server.quiet()
            assert await delivery.attempt(message()) == Delivered(200)
            assert (len(server.requests), server.connections) == (2, 2)

    asyncio.run(send())


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_an_answer_in_the_middle_of_the_request(tls: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A refusal before the body was read is an answer if it arrives, and a doubt if the close outruns it."""

    async def script(connection: Connection) -> None:
        await connection.reader.readexactly(100_000)
        await connection.send(answer(413))

    async def send() -> None:
        context = server_tls("localhost") if tls else None
        async with RawServer(script, context) as server, delivering(server.url) as delivery:
            attempt = attempt_of(await delivery.attempt(message(body=LARGE)))
            if attempt.status is None:
                assert attempt.certainty is Certainty.UNKNOWN
                assert attempt.error.startswith(CUT)
            else:
                assert (attempt.status, attempt.certainty) == (413, Certainty.REJECTED)

    asyncio.run(send())


@pytest.mark.skipif(sys.platform != "linux", reason="the system's own limit, and its table of connections, are Linux's")
def test_a_request_that_nobody_reads_keeps_no_connection() -> None:
    """What does not fit into the systems' buffers is let go after another deadline, whatever the other side does."""

    async def send() -> None:
        async with (
            RawServer(STORIES["deaf"].script) as server,
            delivering(server.url, try_timeout=DEADLINE) as delivery,
        ):
            await asyncio.gather(*(delivery.attempt(message(body=LARGE)) for _ in range(4)))
            assert server.connections == 4
            until = time.monotonic() + 10
            while open_connections(server.port):
                assert time.monotonic() < until
                await asyncio.sleep(0.1)

    asyncio.run(send())


def open_connections(port: int) -> int:
    """How many connections to a port of this machine are open on our side."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(remote.endswith(f":{port:04X}") and state == "01" for _, _, remote, state, *_ in rows)


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
