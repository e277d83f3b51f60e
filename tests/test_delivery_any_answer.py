"""Whatever bytes come back, and however the connection ends: one outcome, in time, that fits what was sent.

`make fuzz-answers` searches long.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import NamedTuple

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outbox.delivery import Delivery
from outbox.message import Certainty, Delivered, Failed, FailureReason, Outcome, Retry
from outbox.policy import ERROR_BYTES, RESPONSE_BYTES, Action, Policy, clean
from outbox.settings import Settings
from support.fuzzing import rounds
from support.raw_server import Connection, RawServer
from support.sending import delivering, message

DEADLINES = {"close": 5.0, "reset": 5.0, "hold": 0.3}
"""Of a try, by how the answer ends: only what is held open may need all of it."""

SLOW = 2.0
"""Seconds by which a busy machine may be late: that no try hangs is what is asked here; `make bars` measures."""

POLICY = Policy.of(Settings())
LONG = pytest.mark.timeout(1800)


class Sent(NamedTuple):
    """What a server sends, and the status of it where it is an answer of HTTP's."""

    data: bytes
    status: int | None = None


def written(status: int, headers: list[bytes], body: bytes, length: str) -> Sent:
    """A whole answer, its body delimited in one of HTTP's three ways."""
    if length == "chunked":
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        headers = [*headers, b"Transfer-Encoding: chunked"]
    elif length == "counted":
        headers = [*headers, b"Content-Length: %d" % len(body)]
    return Sent(b"\r\n".join([b"HTTP/1.1 %d Words" % status, *headers, b"", body]), status)


def mangled(sent: Sent, place: int, size: int, put: bytes) -> Sent:
    """The same with a piece of it replaced."""
    place %= len(sent.data) + 1
    return Sent(sent.data[:place] + put + sent.data[place + size :])


VALUES = [
    b"0", b"5", b"-1", b"99999999999", b"\xc2\xb2", b"soon", b"Sun, 06 Nov 2094 08:49:37 GMT", b"chunked", b"gzip", b"close",
    b"keep-alive", b"", b"\x00", b"\xff", b"a" * 9000, b"http://127.0.0.1:1/", b"5, 5", b"\x1b[2J",
]  # fmt: skip
NAMES = [
    b"Retry-After", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Content-Encoding", b"Location", b"Upgrade",
    b"Set-Cookie", b"Trailer", b"Expect", b"a", b"", b" a", b"\xff", b"A" * 9000,
]  # fmt: skip
LINES = [
    b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.0 503 x", b"HTTP/1.1 429 x", b"HTTP/1.1 100 Continue", b"HTTP/1.1 101 x",
    b"HTTP/1.1 204 x", b"HTTP/1.1 304 x", b"HTTP/1.1 400 \xff\xfe", b"HTTP/1.1 999 x", b"HTTP/1.1 0200 x", b"HTTP/1.1 20 x",
    b"HTTP/2 200", b"http/1.1 200 OK", b"HTTP/1.1 600", b"HTTP/1.1  200 OK", b"", b"5", b"0", b"ffffffffffffffff", b"5;a=b",
]  # fmt: skip

fit_headers = st.lists(
    st.builds(
        b"%b: %b".__mod__,
        st.tuples(
            st.sampled_from([b"Retry-After", b"Location", b"X-Other", b"Content-Encoding"]), st.sampled_from(VALUES[:7])
        ),
    ),
    max_size=3,
)
whole = st.builds(
    written,
    st.integers(200, 999),
    fit_headers,
    st.binary(max_size=60),
    st.sampled_from(["counted", "chunked", "closed"]),
)
any_header = st.builds(
    b"%b: %b".__mod__, st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.binary(max_size=12))
)
soup = st.builds(
    lambda parts, end: Sent(end.join(parts)),
    st.lists(st.sampled_from(LINES) | any_header | st.binary(max_size=12), max_size=8),
    st.sampled_from([b"\r\n", b"\n", b"\r", b"\r\n\r\n"]),
)
changed = st.builds(mangled, whole, st.integers(0, 400), st.integers(0, 30), st.binary(max_size=12))
anything = whole | changed | soup | st.binary(max_size=80).map(Sent)


class Line:
    """A destination and a client that stay, for one search: what to answer is set anew for each example."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.server = RawServer(self._script)
        self.data, self.end = b"", "close"
        self.deliveries: dict[str, Delivery] = {}

    async def _script(self, connection: Connection) -> None:
        await connection.request()
        await connection.send(self.data)
        if self.end == "reset":
            connection.reset()
        elif self.end == "hold":
            await connection.hang()

    def answer(self, sent: Sent, end: str) -> Outcome:
        """Send a message and give what came of it. A stale connection is in doubt, and is not what is asked here."""
        self.data, self.end = sent.data, end
        while True:
            self.server.requests.clear()
            began = time.monotonic()
            outcome = self.loop.run_until_complete(self.deliveries[end].attempt(message()))
            assert time.monotonic() - began <= DEADLINES[end] + SLOW
            assert outcome is not None
            if self.server.requests:
                return outcome
            assert not isinstance(outcome, Delivered)
            assert outcome.attempt.certainty is Certainty.UNKNOWN


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    """Give a destination and its clients in a loop of their own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        made = Line(runner.get_loop())

        async def opened() -> AsyncExitStack:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(made.server)
                for end, deadline in DEADLINES.items():
                    delivery = await stack.enter_async_context(delivering(made.server.url, try_timeout=deadline))
                    delivery.stop()  # one try is an attempt
                    made.deliveries[end] = delivery
                return stack.pop_all()

        stack = runner.run(opened())
        yield made
        runner.run(stack.aclose())


def check(outcome: Outcome, sent: Sent) -> None:
    """Whatever was sent: the outcome is one of ours, follows the table, and its record is fit to be stored."""
    if isinstance(outcome, Delivered):
        assert outcome.status is not None
        assert 200 <= outcome.status < 300
        assert re.search(rb"HTTP/1\.[01] %d" % outcome.status, sent.data)
        return
    attempt = outcome.attempt
    assert attempt.tries == 1
    assert clean(attempt.error, ERROR_BYTES) == attempt.error
    assert attempt.error.isprintable()
    verdict = POLICY.judge(attempt.status)
    assert attempt.certainty is verdict.certainty
    assert isinstance(outcome, Failed) == (verdict.action is Action.FAILED)
    if isinstance(outcome, Failed):
        assert outcome.reason is FailureReason.REJECTED
    if attempt.status is None:
        assert attempt.response is None
    else:
        assert re.search(rb"HTTP/1\.[01] %d" % attempt.status, sent.data)
        assert clean(attempt.response or "", RESPONSE_BYTES) == attempt.response
    assert outcome.pause is None or (attempt.status in {429, 503} and 0 < outcome.pause <= POLICY.retry_after_max)


def status_of(outcome: Outcome) -> int | None:
    return outcome.status if isinstance(outcome, Delivered) else outcome.attempt.status


@LONG
@pytest.mark.parametrize("examples", rounds(500))
def test_any_answer_has_one_outcome(line: Line, examples: int) -> None:
    """Answers whole, changed, made of fragments and of noise; then the connection is closed or reset."""

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(anything, st.sampled_from(["close", "close", "close", "reset"]))
    def search(sent: Sent, end: str) -> None:
        outcome = line.answer(sent, end)
        check(outcome, sent)
        if sent.status is not None and end == "close":
            assert status_of(outcome) == sent.status

    search()


@LONG
@pytest.mark.parametrize("examples", rounds(25, share=0.002))
def test_any_answer_that_does_not_end(line: Line, examples: int) -> None:
    """The same, and then nothing more comes while the connection stays open: over within the deadline."""

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(anything)
    def search(sent: Sent) -> None:
        outcome = line.answer(sent, "hold")
        check(outcome, sent)
        assert isinstance(outcome, Delivered | Retry | Failed)

    search()
