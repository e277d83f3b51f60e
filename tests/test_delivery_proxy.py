"""Proxies and certificate authorities: by configuration only, and with words for what goes wrong on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trustme

from outbox.delivery import Delivery, client
from outbox.errors import ConfigurationError
from outbox.message import Attempt, Certainty, Delivered, Retry
from outbox.policy import Policy
from outbox.settings import Settings
from support.http_proxy import proxying
from support.raw_server import Connection, RawServer, Script, answer, answers
from support.sending import BODY, CA, delivering, message, server_tls

CANARY = "s3cret-canary"
NAMES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(story())  # type: ignore[arg-type]


async def failed(url: str, proxy: str) -> Attempt:
    """The record of one try through a proxy that did not deliver."""
    async with delivering(url, proxy=proxy, try_timeout=1.0) as delivery:
        delivery.stop()
        outcome = await delivery.attempt(message())
    assert isinstance(outcome, Retry)
    assert CANARY not in repr(outcome)
    return outcome.attempt


def test_https_goes_through_a_tunnel() -> None:
    """CONNECT with the configured user name and password; the proxy sees neither the path nor the event."""

    async def story() -> None:
        async with (
            RawServer(answers(answer()), tls=server_tls("localhost")) as server,
            RawServer(proxying(user=f"app:{CANARY}@")) as proxy,
            delivering(server.url, proxy=f"http://app:{CANARY}%40@127.0.0.1:{proxy.port}") as delivery,
        ):
            assert await delivery.attempt(message()) == Delivered(200)
            assert await delivery.attempt(message()) == Delivered(200)
            assert [each.line for each in proxy.requests] == [f"CONNECT localhost:{server.port} HTTP/1.1"]
            assert [each.json() for each in server.requests] == [json.loads(BODY)] * 2
            assert all(each.header("Proxy-Authorization") is None for each in server.requests)

    run(story)


def test_plain_http_goes_through_it_too() -> None:
    """The proxy gets the whole URL; the destination gets the event."""

    async def story() -> None:
        async with (
            RawServer(answers(answer())) as server,
            RawServer(proxying(user=f"app:{CANARY}")) as proxy,
            delivering(server.url, proxy=f"http://app:{CANARY}@127.0.0.1:{proxy.port}") as delivery,
        ):
            assert await delivery.attempt(message()) == Delivered(200)
            assert [each.line for each in proxy.requests] == [f"POST {server.url} HTTP/1.1"]
            assert server.requests[0].json() == json.loads(BODY)

    run(story)


def test_a_proxy_by_tls() -> None:
    """An https:// proxy is trusted as any server is: by the system's authorities and those of `ca_file`."""

    async def story() -> None:
        async with (
            RawServer(answers(answer()), tls=server_tls("localhost")) as server,
            RawServer(proxying(), tls=server_tls("localhost")) as proxy,
            delivering(server.url, proxy=f"https://localhost:{proxy.port}") as delivery,
        ):
            assert await delivery.attempt(message()) == Delivered(200)
            assert proxy.connections == 1
        tls = server_tls("localhost", authority=trustme.CA())
        async with RawServer(proxying(), tls=tls) as proxy:
            attempt = await failed("https://localhost:1/", f"https://localhost:{proxy.port}")
        assert attempt.error == "TLS: the certificate of the proxy localhost is of an unknown authority"
        assert attempt.certainty is Certainty.NOT_SENT

    run(story)


async def _forbid(connection: Connection) -> None:
    await connection.request()
    await connection.send(answer(403))


async def _hang(connection: Connection) -> None:
    await connection.hang()


async def _close(connection: Connection) -> None:
    await connection.request()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (proxying(user="app:right"), "the proxy {proxy} asks for a user name and a password, or for others (407)"),
        (_forbid, "the proxy {proxy} did not connect to localhost:1: unsuccessful"),
        (_close, "the proxy {proxy} did not connect to localhost:1: unexpected end of file"),
        (_hang, "no connection to localhost:1 through the proxy {proxy} within 800ms"),
    ],
    ids=["user", "forbidden", "closed", "silent"],
)
def test_a_proxy_that_makes_no_tunnel(script: Script, error: str) -> None:
    """The request never left: the words name the proxy, and no password."""

    async def story() -> None:
        async with RawServer(script) as proxy:
            attempt = await failed("https://localhost:1/", f"http://app:{CANARY}@127.0.0.1:{proxy.port}")
        assert attempt.certainty is Certainty.NOT_SENT
        assert attempt.error == error.format(proxy=f"127.0.0.1:{proxy.port}")

    run(story)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there(scheme: str) -> None:
    """Neither its port nor its name: it is not the destination that refused."""

    async def story() -> None:
        async with RawServer(answers(answer())) as gone:
            port = gone.port
        attempt = await failed(f"{scheme}://localhost:1/", f"http://app:{CANARY}@127.0.0.1:{port}")
        assert (attempt.certainty, attempt.error) == (
            Certainty.NOT_SENT,
            f"connection refused by the proxy 127.0.0.1:{port}",
        )
        name = "a" * 64 + ".invalid"
        attempt = await failed(f"{scheme}://localhost:1/", f"http://{name}:3128")
        assert attempt.error.startswith(f"cannot resolve the proxy {name}: ")

    run(story)


def test_a_destination_behind_a_proxy_is_still_verified() -> None:
    """Its certificate is judged as without one."""

    async def story() -> None:
        tls = server_tls("localhost", authority=trustme.CA())
        async with RawServer(answers(answer()), tls=tls) as server, RawServer(proxying()) as proxy:
            attempt = await failed(server.url, f"http://127.0.0.1:{proxy.port}")
            assert server.requests == []
        assert attempt.error == "TLS: the certificate of localhost is of an unknown authority"

    run(story)


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither beside a configured one, nor without."""

    async def story() -> None:
        async with (
            RawServer(answers(answer(500))) as trap,
            RawServer(answers(answer())) as server,
            RawServer(proxying()) as proxy,
        ):
            for name in NAMES:
                monkeypatch.setenv(name, trap.url)
            for name in ("NO_PROXY", "no_proxy"):
                monkeypatch.delenv(name, raising=False)
            async with delivering(server.url) as delivery:
                assert await delivery.attempt(message()) == Delivered(200)
            for name in ("NO_PROXY", "no_proxy"):
                monkeypatch.setenv(name, "127.0.0.1,localhost")
            async with delivering(server.url, proxy=f"http://127.0.0.1:{proxy.port}") as delivery:
                assert await delivery.attempt(message()) == Delivered(200)
            assert (trap.connections, proxy.connections) == (0, 1)

    run(story)


def test_a_private_authority_is_trusted_by_its_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with its certificate gets the event only from who was told so, and not by the TLS library's variable."""
    authority = trustme.CA()
    both = tmp_path / "both.pem"
    both.write_bytes(CA.cert_pem.bytes() + authority.cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(both))

    async def story() -> None:
        async with RawServer(answers(answer()), tls=server_tls("localhost", authority=authority)) as server:
            async with delivering(server.url) as delivery:
                delivery.stop()
                outcome = await delivery.attempt(message())
                assert isinstance(outcome, Retry)
                assert outcome.attempt.error == "TLS: the certificate of localhost is of an unknown authority"
            assert server.requests == []
            async with delivering(server.url, ca_file=str(both)) as delivery:
                assert await delivery.attempt(message()) == Delivered(200)

    run(story)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        (b"", "it holds no certificate in PEM"),
        (b"\x30\x82 DER", "it holds no certificate in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "a certificate in it is broken"),
        (b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "a certificate in it is broken"),
    ],
)
def test_a_file_of_authorities_that_is_none(tmp_path: Path, content: bytes | None, why: str) -> None:
    """The worker does not start: which destination, which file, and why."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    settings = Settings(ca_file=str(path))
    with pytest.raises(ConfigurationError) as caught:
        Delivery(settings, Policy.of(settings))
    assert caught.value.message == (
        f"the certificate authorities of the destination overcentric cannot be read from {path}: {why}"
    )
    assert "OUTBOX_CA_FILE" in caught.value.hint


def test_a_proxy_whose_name_is_none() -> None:
    """Known when the worker starts; the error repeats no password."""
    settings = Settings(proxy=f"http://app:{CANARY}@xn--a:3128")
    with pytest.raises(ConfigurationError, match="the proxy of the destination overcentric is not a URL") as caught:
        Delivery(settings, Policy.of(settings))
    assert CANARY not in str(caught.value)


def test_verification_cannot_be_switched_off() -> None:
    """No setting is for it, and the one file that knows the HTTP client does not use what could do it."""
    assert not [name for name in Settings.readings() if "verify" in name or "insecure" in name]
    assert "danger" not in Path(client.__file__).read_text(encoding="utf-8")
