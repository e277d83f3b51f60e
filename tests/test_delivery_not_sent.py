"""Failures after which the request certainly never left: each one provoked, none of them in doubt."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
import trustme

from outbox.message import Attempt, Certainty, Delivered, Retry
from support.misbehaviour import HANDSHAKES
from support.raw_server import RawServer, answer, answers
from support.sending import CA, delivering, message, server_tls

NOBODY = trustme.CA()


async def missed(url: str, try_timeout: float = 2.0) -> Attempt:
    async with delivering(url, try_timeout=try_timeout) as delivery:
        delivery.stop()  # one try is enough here
        outcome = await delivery.attempt(message())
    assert isinstance(outcome, Retry)
    attempt = outcome.attempt
    assert attempt.certainty is Certainty.NOT_SENT
    assert (attempt.tries, attempt.status, attempt.response) == (1, None, None)
    return attempt


@contextmanager
def unused_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def test_refused() -> None:
    """Nobody listens."""
    with unused_port() as port:
        attempt = asyncio.run(missed(f"http://127.0.0.1:{port}/"))
    assert attempt.error == f"connection refused by 127.0.0.1:{port}"


def test_unreachable() -> None:
    """No route leads there: the broadcast address takes no connection, and no packet leaves."""
    attempt = asyncio.run(missed("http://255.255.255.255:8025/"))
    assert attempt.error.startswith("cannot connect to 255.255.255.255:8025: ")


def test_no_such_name() -> None:
    """A label of 64 letters cannot exist, so that no server is asked."""
    name = "a" * 64 + ".invalid"
    attempt = asyncio.run(missed(f"http://{name}/"))
    assert attempt.error.startswith(f"cannot resolve {name}: ")


def test_connecting_stalls() -> None:
    """The server's queue of connections is full: told apart from a missing answer by the shorter limit."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        began = time.monotonic()
        attempt = asyncio.run(missed(f"http://127.0.0.1:{port}/", try_timeout=1.0))
        assert 0.7 < time.monotonic() - began < 1.0
        for filler in fillers:
            filler.close()
    assert attempt.error == f"no connection to 127.0.0.1:{port} within 800ms"


TLS = {
    "wrong name": (server_tls("example.org"), "TLS: the certificate is not one of localhost"),
    "expired": (
        server_tls("localhost", not_before=datetime(2020, 1, 1), not_after=datetime(2021, 1, 1)),  # noqa: DTZ001 - trustme wants naive UTC
        "TLS: the certificate of localhost has expired",
    ),
    "not yet": (
        server_tls("localhost", not_before=datetime(2090, 1, 1), not_after=datetime(2091, 1, 1)),  # noqa: DTZ001 - as above
        "TLS: the certificate of localhost is not valid yet",
    ),
    "untrusted": (
        server_tls("localhost", authority=NOBODY),
        "TLS: the certificate of localhost is of an unknown authority",
    ),
}


@pytest.mark.parametrize("case", TLS)
def test_a_bad_certificate(case: str) -> None:
    """TLS fails before the request leaves, and the error says why."""
    context, error = TLS[case]

    async def story() -> None:
        async with RawServer(answers(answer()), tls=context) as server:
            assert (await missed(server.url)).error == error
            assert server.requests == []

    asyncio.run(story())


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_handshake_that_fails(name: str) -> None:
    """A TLS handshake that stalls, ends or is none: the request has not left."""
    script, error = HANDSHAKES[name]

    async def story() -> None:
        async with RawServer(script) as server:
            began = time.monotonic()
            attempt = await missed(server.url.replace("http:", "https:"), try_timeout=0.5)
            assert time.monotonic() - began < 1
            assert attempt.error.startswith(error.format(where=f"127.0.0.1:{server.port}", limit="400ms"))

    asyncio.run(story())


@pytest.mark.parametrize(("version", "certainty"), [("TLSv1_2", Certainty.NOT_SENT), ("TLSv1_3", Certainty.UNKNOWN)])
def test_a_server_that_wants_a_certificate_of_ours(version: str, certainty: Certainty) -> None:
    """In TLS 1.3 the client has finished, and may have sent the request, when the server refuses it: a doubt."""
    context = server_tls("localhost")
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    CA.configure_trust(context)

    async def story() -> None:
        async with RawServer(answers(answer()), tls=context) as server, delivering(server.url) as delivery:
            delivery.stop()
            outcome = await delivery.attempt(message())
            assert isinstance(outcome, Retry)
            assert outcome.attempt.certainty is certainty
            assert server.requests == []

    asyncio.run(story())


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_the_environment_adds_no_authority(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An authority that only an environment variable names is not trusted, and the variable is left as it was."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    NOBODY.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    value = str(tmp_path / "authority.pem" if variable == "SSL_CERT_FILE" else tmp_path)
    monkeypatch.setenv(variable, value)

    async def story() -> None:
        context = server_tls("localhost", authority=NOBODY)
        async with RawServer(answers(answer()), tls=context) as server:
            assert (await missed(server.url)).error.endswith("unknown authority")

    asyncio.run(story())
    assert os.environ[variable] == value


def test_tls_that_is_old_but_sound() -> None:
    """TLS 1.2 is enough."""
    context = server_tls("localhost")
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def story() -> None:
        async with RawServer(answers(answer()), tls=context) as server, delivering(server.url) as delivery:
            assert await delivery.attempt(message()) == Delivered(200)

    asyncio.run(story())
