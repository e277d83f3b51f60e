"""`outbox doctor` on the way to a destination: only what is configured is contacted, and no request is sent."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from outbox.doctor import Finding, Level
from outbox.doctor.endpoints import endpoint
from outbox.settings import Settings
from outbox.testing import fake_server
from support.sending import CA, server_tls
from support.servers.ports import free_port


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    """Give the tests' authority as a file."""
    path = tmp_path / "ca.pem"
    CA.cert_pem.write_to_path(str(path))
    return str(path)


def reach(url: str, **settings: Any) -> Finding:
    (found,) = endpoint(Settings(endpoint=url, **settings).destinations["overcentric"])
    assert found.check == "endpoint overcentric"
    return found


def secured(tls: ssl.SSLContext, ca_file: str) -> Finding:
    with fake_server(tls=tls) as server:
        found = reach(server.url.replace("127.0.0.1", "localhost"), ca_file=ca_file)
        assert server.count == 0
        return found


def test_plain_http() -> None:
    """It can be connected to, and no request is sent."""
    with fake_server() as server:
        assert reach(server.url) == Finding(
            "endpoint overcentric", Level.OK, f"127.0.0.1:{server.port} can be connected to"
        )
        assert server.count == 0


def test_tls(ca_file: str) -> None:
    """The version, and how long the certificate holds."""
    found = secured(server_tls("localhost"), ca_file)
    assert found.level == "ok"
    assert found.text.startswith("TLSv1.3, the certificate holds until 3000-01-01")


@pytest.mark.parametrize("days", [3, 30])
def test_a_certificate_that_ends_soon(days: int, ca_file: str) -> None:
    """Within two weeks it is warned of."""
    end = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=days)
    found = secured(server_tls("localhost", not_after=end), ca_file)
    assert (found.level, f"{end:%Y-%m-%d}" in found.text) == ("warning" if days == 3 else "ok", True)


BAD = {
    "wrong name": (server_tls("example.org"), "Hostname mismatch"),
    "expired": (
        server_tls("localhost", not_before=datetime(2020, 1, 1), not_after=datetime(2021, 1, 1)),  # noqa: DTZ001 - trustme wants naive UTC
        "certificate has expired",
    ),
    "unknown authority": (server_tls("localhost", authority=trustme.CA()), "unable to get local issuer certificate"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_certificate_that_is_not_trusted(case: str, ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A problem; variables that would have it trusted are heeded no more than by a worker."""
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    tls, words = BAD[case]
    found = secured(tls, ca_file)
    assert found.level == "problem"
    assert words in found.text
    assert "OUTBOX_CA_FILE" in str(found.remedy)


def test_the_environments_authorities_do_not_count(ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE is not heeded by a worker, so it must not be here."""
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    with fake_server(tls=server_tls("localhost")) as server:
        assert reach(server.url.replace("127.0.0.1", "localhost")).level == "problem"


def test_nobody_speaks_tls_there() -> None:
    """https:// to a port that speaks HTTP."""
    with fake_server() as server:
        found = reach(server.url.replace("http://", "https://"))
    assert found.level == "problem"
    assert "the TLS handshake fails" in found.text


def test_nobody_is_there() -> None:
    """Refused, and a name that is none."""
    found = reach(f"http://127.0.0.1:{free_port()}/")
    assert (found.level, "connection refused" in found.text.lower()) == ("problem", True)
    found = reach("http://nobody.invalid/")
    assert found.level == "problem"
    assert "nobody.invalid cannot be resolved" in found.text


@pytest.fixture
def silent() -> Iterator[int]:
    """Give a port that accepts and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(5)
        yield server.getsockname()[1]


def test_a_handshake_that_stalls(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for no longer than its limit."""
    monkeypatch.setattr("outbox.doctor.endpoints._SECONDS", 0.2)
    assert "no answer within 0.2 s" in reach(f"https://127.0.0.1:{silent}/").text


def test_behind_a_proxy_nothing_is_contacted() -> None:
    """To look through it would take a request."""
    with fake_server() as proxy, fake_server() as server:
        found = reach(server.url, proxy=f"http://127.0.0.1:{proxy.port}")
        assert (found.level, found.text) == ("ok", "is reached through a proxy: not looked at")
        assert (proxy.count, server.count) == (0, 0)
