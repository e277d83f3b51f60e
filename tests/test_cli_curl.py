"""`outbox show --curl`: the request again, by hand, byte for byte, and no secret in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any
from uuid import UUID

import pytest

from outbox.testing import ThreadedFakeServer, fake_server
from outbox.testing.record import Received
from support.commands import MINIMAL, Console, Ran, add
from support.databases import Database
from support.workers import COMMAND, environment

CANARY = "s3cret-canary"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOSTILE = """{"a":"it's $HOME `id` \\\\ !! \\u0000 %s %d","b":"</x>"}"""

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def _run(command: str, **variables: str) -> None:
    """Run it as a person would, in a shell with proxies for everything."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    proxies = {"http_proxy": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=command.encode(),
        env=os.environ | proxies | variables,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def _sent(received: Received) -> tuple[Any, ...]:
    """What makes a request: all but the order of its headers."""
    return (
        received.method,
        received.path,
        received.body,
        sorted((name.lower(), value) for name, value in received.raw_headers),
    )


def _worker_sends(database: Database, server: ThreadedFakeServer, **settings: str) -> None:
    given = environment(database.url, server.url) | settings
    subprocess.run([*COMMAND, "worker", "--drain"], env=given, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize(
    "body", [MINIMAL, MINIMAL.replace("\n", ""), HOSTILE, "'", "@/etc/passwd", "Zoë\t\x1b[2J\r\n\u202e", "x" * 300_000, "é'" * 90_000],
    ids=["minimal", "one-line", "hostile", "quote", "at", "control", "long", "long-and-wide"],
)  # fmt: skip
def test_the_command_sends_what_the_worker_sends(
    outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """Method, target, headers and body: the server cannot tell one from the other."""
    with fake_server("400") as server:
        monkeypatch.setenv("OUTBOX_ENDPOINT", server.url)
        added = add(database, body=body)
        _worker_sends(database, server)
        ran = outbox("show", added, "--curl")
        assert (ran.code, ran.err) == (0, "")
        _run(ran.out)
        ours, theirs = server.received
        assert _sent(theirs) == _sent(ours)
        assert theirs.body == body.encode()
        assert theirs.key == str(added)


def test_what_goes_to_the_screen_is_printable(outbox: Console, database: Database) -> None:
    """Whatever the body holds, the command is ASCII without control characters."""
    hostile = "\x1b[2J\x1b]0;owned\x07\x9b1m\r\n\u202e'\\" + "é" * 10
    for body in (hostile, hostile * 100_000):
        ran = outbox("show", add(database, body=body), "--curl")
        assert ran.code == 0
        assert ran.out.isascii()
        assert ran.out.replace("\n", "").isprintable()


def _webhook(outbox: Console, database: Database, url: str, monkeypatch: pytest.MonkeyPatch) -> tuple[UUID, Ran]:
    for name, value in (
        ("URL", url),
        ("SECRET", SECRET),
        ("HEADERS", f"Authorization: Bearer {CANARY}; X-Tenant: {CANARY}2"),
    ):
        monkeypatch.setenv(f"OUTBOX_DESTINATION_CRM_{name}", value)
    added = add(database, destination="crm", body='{"type":"order.paid"}')
    return added, outbox("show", added, "--curl")


def test_a_webhook_is_shown_without_its_signature_and_its_secrets(
    outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values of headers are variables; what the secret has made is missing, and both is said."""
    with fake_server("200", path=None) as server:
        added, ran = _webhook(outbox, database, f"http://127.0.0.1:{server.port}/hooks", monkeypatch)
        assert ran.code == 0
        assert CANARY not in ran.out + ran.err
        assert SECRET[6:] not in ran.out + ran.err
        assert "signature" not in ran.out
        assert ran.err == (
            "outbox: set OUTBOX_DESTINATION_CRM_HEADER_AUTHORIZATION: its value is not shown\n"
            "outbox: set OUTBOX_DESTINATION_CRM_HEADER_X_TENANT: its value is not shown\n"
            "outbox: webhook-signature is missing: it is made with the secret (OUTBOX_DESTINATION_CRM_SECRET) and the time of sending\n"
        )
        _run(
            ran.out,
            OUTBOX_DESTINATION_CRM_HEADER_AUTHORIZATION=f"Bearer {CANARY}",
            OUTBOX_DESTINATION_CRM_HEADER_X_TENANT="$(id) 'x'",
        )
        (received,) = server.received
        assert received.headers["webhook-id"] == str(added)
        assert received.headers["authorization"] == f"Bearer {CANARY}"
        assert received.headers["x-tenant"] == "$(id) 'x'"
        assert "webhook-signature" not in received.headers
        assert received.body == b'{"type":"order.paid"}'


def test_a_query_and_a_proxy_may_be_secrets(
    outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are variables, as `outbox config show` hides them."""
    with fake_server("200", path=None) as server:
        monkeypatch.setenv("OUTBOX_ENDPOINT", f"http://127.0.0.1:{server.port}/in?token={CANARY}&a=b")
        monkeypatch.setenv("OUTBOX_PROXY", f"http://me:{CANARY}@127.0.0.1:1")
        ran = outbox("show", add(database), "--curl")
        assert CANARY not in ran.out + ran.err
        assert "set OUTBOX_QUERY: its value is not shown" in ran.err
        assert '--proxy "$OUTBOX_PROXY"' in ran.out
        monkeypatch.delenv("OUTBOX_PROXY")
        _run(outbox("show", add(database), "--curl").out, OUTBOX_QUERY=f"token={CANARY}&a=b")
        (received,) = server.received
        assert received.path == f"/in?token={CANARY}&a=b"


def test_what_cannot_be_shown(outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination that is not configured here, two forms at once, a NUL, a body that was wiped."""
    ran = outbox("show", add(database, state="delivered", body=""), "--curl")
    assert (ran.code, ran.out) == (1, "")
    assert "has no body any more" in ran.err
    added = add(database, destination="mail")
    ran = outbox("show", added, "--curl")
    assert (ran.code, ran.out) == (78, "")
    assert "mail, which is not configured here. Set OUTBOX_DESTINATION_MAIL_URL" in ran.err
    assert outbox("show", added, "--curl", "--json").code == 2
    ran = outbox("show", add(database, body="a\0b"), "--curl")
    assert (ran.code, ran.out) == (1, "")
    assert "NUL" in ran.err
    monkeypatch.setenv("OUTBOX_ENDPOINT", f"https://me:{CANARY}@crm.example/")
    ran = outbox("show", add(database), "--curl")
    assert ran.code == 78
    assert CANARY not in ran.err


def test_the_secret_of_a_plugin_is_found_wherever_it_puts_it(
    outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a header or in the URL it is a variable; the rest stays."""
    from outbox.destinations import kinds
    from outbox.destinations.request import Request
    from outbox.settings import DestinationSettings

    class Plugin:
        def __init__(self, settings: DestinationSettings) -> None:
            self.name, self.url, self._secret = settings.name, f"{settings.url}/{settings.secret}", settings.secret

        def request(self, message: Any) -> Request:
            return Request(self.url, {"Authorization": f"Bearer {self._secret}", "X-Name": message.name}, message.body)

    monkeypatch.setattr(kinds, "_factory", lambda _settings: Plugin)
    monkeypatch.setenv("OUTBOX_DESTINATION_LAKE_URL", "https://lake.example/in")
    monkeypatch.setenv("OUTBOX_DESTINATION_LAKE_SECRET", CANARY)
    ran = outbox("show", add(database, destination="lake", body=json.dumps([1])), "--curl")
    assert CANARY not in ran.out + ran.err
    assert 'https://lake.example/in/"$OUTBOX_DESTINATION_LAKE_SECRET"' in ran.out
    assert "--header 'Authorization: Bearer '\"$OUTBOX_DESTINATION_LAKE_SECRET\"" in ran.out
    assert "--header 'X-Name: document_exported'" in ran.out
    assert "missing" not in ran.err
