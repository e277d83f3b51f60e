"""What goes over the wire, and what a plain answer leads to."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging

import pytest
from tenacity import stop_never, wait_fixed

from outbox._version import __version__
from outbox.message import Certainty, Delivered, Failed, FailureReason, Message, Outcome, Retry
from outbox.policy import TABLE, Action, Policy, Rule, Verdict
from outbox.settings import Settings
from support.raw_server import PATH, Connection, RawServer, after_request, answer, answers
from support.sending import BODY, ID, delivering, message, server_tls

judge = Policy.of(Settings()).judge


async def _one(reply: bytes, sent: Message | None = None) -> Outcome | None:
    async with RawServer(after_request(reply)) as server, delivering(server.url) as delivery:
        return await delivery.attempt(sent or message())


def test_the_request_on_the_wire() -> None:
    """The documented headers, the body byte for byte, and nothing that was not asked for."""

    async def story() -> None:
        async with RawServer(answers(answer())) as server, delivering(server.url) as delivery:
            assert await delivery.attempt(message()) == Delivered(200)
            [request] = server.requests
            assert request.line == f"POST {PATH} HTTP/1.1"
            assert dict(request.headers) == {
                "Content-Type": "application/json",
                "Idempotency-Key": str(ID),
                "User-Agent": f"overcentric-outbox/{__version__}",
                "Accept": "*/*",
                "Host": f"127.0.0.1:{server.port}",
                "Content-Length": str(len(BODY.encode())),
            }
            assert len(request.headers) == 6
            assert request.body == BODY.encode()

    asyncio.run(story())


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_any_2xx_delivers(status: int) -> None:
    """2xx is an acceptance, and the same outcome object serves all messages."""
    reply = f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode()

    async def story() -> None:
        async with RawServer(answers(reply)) as server, delivering(server.url) as delivery:
            first = await delivery.attempt(message())
            assert first == Delivered(status)
            assert await delivery.attempt(message()) is first

    asyncio.run(story())


@pytest.mark.parametrize("status", [101, *range(300, 1000, 23), 429, 503])
def test_other_answers_follow_the_table(status: int) -> None:
    """An answer's status, words and beginning are recorded, and the table decides."""
    reply = answer(status, b'{"error": "caf\xe9\0"}', Retry_After="7")
    outcome = asyncio.run(_one(reply))
    assert isinstance(outcome, Retry | Failed)
    assert isinstance(outcome, Failed) == (judge(status).action is Action.FAILED)
    attempt = outcome.attempt
    assert (attempt.status, attempt.certainty, attempt.tries) == (status, judge(status).certainty, 1)
    assert attempt.error.startswith(f"HTTP {status}")
    if status not in {204, 304}:
        assert attempt.response in {'{"error": "caf\ufffd"}', ""}
    assert 0 < attempt.duration < 2
    if isinstance(outcome, Retry):
        earliest, pause = (4, 7) if status in {429, 503} else (7, None)
        assert earliest <= outcome.delay <= 7
        assert outcome.pause == pause


@pytest.mark.parametrize("status", sorted({rule.statuses[0].start for rule in TABLE} - {100, 200}))
def test_park_and_the_table(status: int) -> None:
    """With `park`, an answer that leaves a doubt sets the message aside; the others do as ever."""
    outcome = asyncio.run(_one(answer(status), message(on_unknown="park")))
    if judge(status).certainty is Certainty.UNKNOWN:
        assert isinstance(outcome, Failed)
        assert outcome.reason is FailureReason.UNKNOWN
    else:
        assert isinstance(outcome, Failed) == (judge(status).action is Action.FAILED)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_never_followed(status: int) -> None:
    """The body goes to no address that an answer names."""

    async def story() -> None:
        async with RawServer(answers(answer())) as elsewhere:
            reply = answer(status, Location=elsewhere.url)
            async with RawServer(answers(reply)) as server, delivering(server.url) as delivery:
                outcome = await delivery.attempt(message())
            assert isinstance(outcome, Retry)
            assert outcome.attempt.error.endswith("redirects are not followed")
            assert elsewhere.connections == 0

    asyncio.run(story())


def test_a_compressed_answer_is_not_inflated() -> None:
    """64 MiB of zeros in 64 KiB stay compressed: the record holds their first bytes, cleaned."""
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    outcome = asyncio.run(_one(answer(400, bomb, Content_Encoding="gzip")))
    assert isinstance(outcome, Failed)
    assert outcome.attempt.response is not None
    assert outcome.attempt.response.startswith("\ufffd\ufffd")
    assert len(outcome.attempt.response.encode()) <= 1000


def test_connections_are_used_again() -> None:
    """Twenty messages in a row travel over one connection, refused ones included."""

    async def story() -> None:
        replies = [answer(200), answer(400), answer(201, b"x" * 8000), answer(503, Retry_After="1")] * 5
        async with RawServer(answers(*replies)) as server, delivering(server.url) as delivery:
            for _ in replies:
                await delivery.attempt(message())
            assert (len(server.requests), server.connections) == (20, 1)

    asyncio.run(story())


def test_the_pool_holds_as_many_connections_as_senders() -> None:
    """Two rounds of 32 messages at once need 32 connections, not 64."""

    async def story() -> None:
        gathered = asyncio.Event()

        async def script(connection: Connection) -> None:
            while await connection.request() is not None:
                if len(server.requests) % 32 == 0:
                    gathered.set()
                await gathered.wait()
                await connection.send(answer())

        async with RawServer(script) as server, delivering(server.url, concurrency=32) as delivery:
            for _ in range(2):
                gathered.clear()
                await asyncio.gather(*(delivery.attempt(message()) for _ in range(32)))
            assert server.connections == 32

    asyncio.run(story())


def test_the_environment_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxy variables are ignored."""

    async def story() -> None:
        async with RawServer(answers(answer(500))) as proxy, RawServer(answers(answer())) as server:
            for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url)
                monkeypatch.setenv(name.lower(), proxy.url)
            for name in ("NO_PROXY", "no_proxy"):
                monkeypatch.delenv(name, raising=False)
            async with delivering(server.url) as delivery:
                assert await delivery.attempt(message()) == Delivered(200)
            assert proxy.connections == 0

    asyncio.run(story())


def test_tls_delivers() -> None:
    """Over TLS, to a certificate that names the host."""

    async def story() -> None:
        async with (
            RawServer(answers(answer()), tls=server_tls("localhost")) as server,
            delivering(server.url) as delivery,
        ):
            assert await delivery.attempt(message()) == Delivered(200)
            assert server.requests[0].json() == json.loads(BODY)

    asyncio.run(story())


def test_log_only_sends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """`OUTBOX_DELIVERY=log` names the message in the log, not its body, and calls it delivered."""

    async def story() -> None:
        async with RawServer(answers(answer())) as server, delivering(server.url, delivery="log") as delivery:
            with caplog.at_level(logging.INFO, "outbox.delivery"):
                assert await delivery.attempt(message()) == Delivered(None)
            assert server.connections == 0

    asyncio.run(story())
    assert caplog.messages == [f"would send {ID} sign_up"]


@pytest.mark.parametrize("value", [b"\xff", b"\xc2\xb2", b"9" * 60000, b"", b"\t", b"-5", b"99999999999"])
def test_a_senseless_retry_after_changes_nothing(value: bytes) -> None:
    """A header that is no valid `Retry-After` leaves the schedule as it is."""
    reply = b"HTTP/1.1 429 x\r\nContent-Length: 0\r\nRetry-After: " + value + b"\r\n\r\n"
    outcome = asyncio.run(_one(reply))
    assert isinstance(outcome, Retry)
    assert (outcome.attempt.status, outcome.pause) == (429, None)
    assert 4 <= outcome.delay <= 6


def test_a_policys_table_decides_about_the_wire() -> None:
    """An answer that delivers need not be 2xx, and a 2xx need not deliver; 502 with a meaning of its own is one try."""
    unknown = Certainty.UNKNOWN
    table = (
        Rule((range(409, 410),), Verdict(Action.DELIVERED, None), "it was there already"),
        Rule((range(202, 203),), Verdict(Action.RETRY, unknown), "not yet"),
        Rule((range(502, 503),), Verdict(Action.RETRY, unknown, destination=True), "the wrong gateway"),
        Rule((range(503, 504),), Verdict(Action.FAILED, unknown), "never"),
        *TABLE,
    )
    policy = Policy(wait_fixed(5), stop_never, 60.0, table)

    async def story() -> None:
        replies = [answer(409), answer(202), answer(502), answer(503), answer(200)]
        async with RawServer(answers(*replies)) as server, delivering(server.url, policy=policy) as delivery:
            assert await delivery.attempt(message()) == Delivered(409)
            accepted = await delivery.attempt(message())
            assert isinstance(accepted, Retry)
            assert (accepted.attempt.status, accepted.attempt.certainty) == (202, unknown)
            assert isinstance(await delivery.attempt(message()), Retry)
            assert isinstance(await delivery.attempt(message()), Failed)
            assert await delivery.attempt(message()) == Delivered(200)
            assert len(server.requests) == 5

    asyncio.run(story())
