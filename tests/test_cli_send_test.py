"""`outbox send-test`: one event the way of all events, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from outbox.testing import ThreadedFakeServer, fake_server
from support.commands import Console, rows
from support.databases import Database
from support.waiting import eventually
from support.workers import worker

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database, monkeypatch: pytest.MonkeyPatch) -> Console:
    """`outbox …` against the test's database."""
    monkeypatch.setenv("OUTBOX_PROJECT_ID", "my-project")
    return Console(capsys, database)


@contextmanager
def working(folder: Path, settings: dict[str, str], outbox: Console) -> Iterator[None]:
    """Run a worker until the block ends; it is alive when the block begins."""
    with worker(folder, settings):
        eventually(lambda: "no worker is alive" not in outbox("doctor", "--offline").out)
        yield


on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def test_it_arrives_and_the_answer_is_shown(
    outbox: Console, destination: ThreadedFakeServer, settings: dict[str, str], tmp_path: Path
) -> None:
    """The request, the answer and how long it took; what arrives is marked as a test and names no person."""
    with working(tmp_path, settings, outbox):
        ran = outbox("send-test", "--endpoint", destination.url)
        assert (ran.code, ran.err) == (0, "")
        (one,) = destination.received
        assert one.json == {
            "event": {
                "name": "outbox_test",
                "project_id": "my-project",
                "device_id": "webhook",
                "session_id": "webhook",
                "context": "product",
                "properties": {"test": True, "sent_by": "outbox send-test"},
            }
        }
        lines = ran.out.splitlines()
        assert lines[:2] == ["POST /api/v1/event HTTP/1.1", f"Host: 127.0.0.1:{destination.port}"]
        sent = dict(line.split(": ", 1) for line in lines[2 : lines.index("")])
        assert {name.lower(): value for name, value in sent.items()}.items() <= one.headers.items()
        assert one.body.decode() in lines
        assert lines[-1].startswith("overcentric took it: HTTP 200, ")
        as_json = outbox("send-test", "--endpoint", destination.url, "--json").json
        assert (as_json["outcome"], as_json["status"], as_json["body"]) == ("delivered", 200, one.json)
        assert 0 < as_json["seconds"] < 10


@on_sqlite
def test_what_it_was_refused_with(
    outbox: Console, destination: ThreadedFakeServer, settings: dict[str, str], tmp_path: Path
) -> None:
    """Exit 1, the answer, and where the message stands: failed, or to be sent again."""
    with working(tmp_path, settings | {"OUTBOX_RETRY_SCHEDULE": "1h"}, outbox):
        destination.script = "400"
        ran = outbox("send-test")
        assert ran.code == 1
        assert "overcentric did not take it: HTTP 400 Bad Request" in ran.out
        assert 'The answer begins: {"ok": false, "status": 400}' in ran.out
        destination.script = "500"
        ran = outbox("send-test")
        assert ran.code == 1
        assert f"It will be sent again: outbox show {rows(outbox.database)[-1].id}" in ran.out
        assert outbox("send-test", "--json").json["outcome"] == "rescheduled"


def test_without_a_worker_nothing_is_enqueued(outbox: Console, database: Database) -> None:
    """Nobody would send it: it says so, and what to do."""
    ran = outbox("send-test")
    assert (ran.code, ran.out) == (75, "")
    assert "No worker is alive" in ran.err
    assert "outbox worker" in ran.err
    assert rows(database) == []


@on_sqlite
def test_to_a_paused_destination_nothing_is_enqueued(
    outbox: Console, database: Database, settings: dict[str, str], tmp_path: Path
) -> None:
    """Whoever paused it is told."""
    with working(tmp_path, settings, outbox):
        outbox("pause", "--reason", "their maintenance")
        ran = outbox("send-test")
        assert ran.code == 75
        assert "their maintenance; nothing was enqueued. Wait, or run: outbox resume overcentric" in ran.err
        assert rows(database) == []


@on_sqlite
def test_no_answer_in_time(
    outbox: Console, destination: ThreadedFakeServer, settings: dict[str, str], tmp_path: Path
) -> None:
    """The message stays, and its id is told."""
    with working(tmp_path, settings | {"OUTBOX_LEASE": "60s", "OUTBOX_TRY_TIMEOUT": "20s"}, outbox):
        destination.script = "hang"
        ran = outbox("send-test", "--timeout", "300ms", "--json")
        assert (ran.code, ran.json["outcome"], ran.json["seconds"]) == (75, "pending", None)
        assert "No answer within 300ms" in ran.err
        assert f"outbox show {ran.json['id']}" in ran.err


@on_sqlite
def test_a_webhook_and_its_secrets(
    outbox: Console, database: Database, settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its signature, its configured headers and its query are hidden; it arrives signed."""
    with fake_server("200", path=None) as crm:
        own = {
            "OUTBOX_DESTINATION_CRM_URL": f"{crm.url}?token=s3cret-canary",
            "OUTBOX_DESTINATION_CRM_SECRET": SECRET,
            "OUTBOX_DESTINATION_CRM_HEADERS": "X-Tenant: s3cret-canary",
        }
        for name, value in own.items():
            monkeypatch.setenv(name, value)
        with working(tmp_path, settings | own, outbox):
            shown = outbox("send-test", "--destination", "crm")
            as_json = outbox("send-test", "--destination", "crm", "--json")
        assert (shown.code, as_json.code) == (0, 0)
        assert crm.received[0].headers["x-tenant"] == "s3cret-canary"
        assert crm.received[0].json == {"type": "outbox_test", "data": {"test": True, "sent_by": "outbox send-test"}}
        for ran in (shown, as_json):
            assert "s3cret-canary" not in ran.out
            assert SECRET not in ran.out
            assert "v1," not in ran.out
        assert "webhook-signature: ***" in shown.out
        assert json.loads(as_json.out)["headers"]["X-Tenant"] == "***"


@on_sqlite
def test_what_is_wrong_is_said_before_anything_is_sent(
    outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A destination that nobody knows, a time that is none, no project."""
    assert "(did you mean overcentric?)" in outbox("send-test", "--destination", "overcentrik").err
    assert "expected a number and a unit" in outbox("send-test", "--timeout", "5").err
    monkeypatch.delenv("OUTBOX_PROJECT_ID")
    ran = outbox("send-test")
    assert ran.code == 65
    assert "event.project_id" in ran.err
    assert rows(database) == []
