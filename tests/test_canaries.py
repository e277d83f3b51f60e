"""What is secret or personal is shown where somebody asks for it, and nowhere else: at no log level, in no format."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from outbox.testing import fake_server
from support.canaries import CANARIES, EVENT, Refusing, about, plant, refusing, seen, settings
from support.commands import Console, Ran, add, process
from support.databases import Database
from support.rows import put
from support.workers import environment, worker
from test_destination_plugins import install

pytestmark = pytest.mark.usefixtures("_logging")

Shown = dict[str, set[str] | frozenset[str]]

RECORDED = {"ordering key", "recorded answer"}

DOCUMENTED: Shown = {
    # The one look that shows a body, and all that is on record of a message.
    "show": EVENT | RECORDED,
    "show --json": EVENT | RECORDED,
    "show webhook": {"webhook payload", "payload name"},
    "show text": {"payload text"},
    # The request again: its body, but neither its secrets nor what the outbox has on record.
    "show --curl": {*EVENT},
    "show webhook --curl": {"webhook payload", "payload name"},
    # The fields that would differ, before and after.
    "edit --dry-run": {"property", "set value"},
    "edit --dry-run of all": {"property", "set value"},
    # A value that the caller has written, and that can never be sent.
    "enqueue refused": {"refused value"},
    "edit refused": {"set value"},
    # The destination's answer to a message that was really sent.
    "show what the worker recorded": {"answer"},
}
"""Where somebody asks for it. Every other output of every other command holds none."""


@pytest.fixture
def _logging() -> Iterator[None]:
    """Commands configure logging: leave it as it was."""
    logger = logging.getLogger("outbox")
    before = (logger.handlers[:], logger.propagate, logger.level)
    yield
    logger.handlers[:], logger.propagate = before[0], before[1]
    logger.setLevel(before[2])


class Watched:
    """Runs commands, and notes which canaries each of them has shown."""

    def __init__(self, outbox: Console) -> None:
        self.shown: Shown = {}
        self._outbox = outbox

    def __call__(self, what: str, *arguments: object, code: int = 0) -> Ran:
        """Run one; what it shows is noted under `what`."""
        return self.note(what, self._outbox(*arguments), code)

    def note(self, what: str, ran: Ran, code: int = 0) -> Ran:
        """Note what a command that has run has shown."""
        assert ran.code == code, (what, ran)
        assert what not in self.shown, what
        assert ran.out + ran.err, what
        self.shown[what] = seen(ran.out + ran.err)
        return ran


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("level", ["info", "debug"])
def test_canaries(
    capsys: pytest.CaptureFixture[str],
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    level: str,
    form: str,
) -> None:
    """Some forty strings, some sixty commands: each stands where it was asked for, and in no log line."""
    watched = Watched(Console(capsys, database))
    with refusing() as server:
        given = settings(tmp_path, server.server_port) | {"OUTBOX_LOG_LEVEL": level, "OUTBOX_LOG_FORMAT": form}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        _look(watched, database)
        _repair(watched, database, tmp_path)
        _work(watched, database, server, tmp_path)
        _forget(watched, database)
    assert {what: found for what, found in watched.shown.items() if found} == DOCUMENTED


def _look(outbox: Watched, database: Database) -> None:
    planted = plant(database)
    outbox("status", "status")
    outbox("status --json", "status", "--json")
    outbox("check", "check", code=2)
    for look in ("list", "failed"):
        for form in ("", "--json", "--jsonl", "--csv"):
            outbox(f"{look} {form}", look, *form.split())
    for by in ("error", "name", "status", "day"):
        outbox(f"failed --by {by}", "failed", "--by", by)
    outbox("show", "show", planted["failed"])
    outbox("show --json", "show", planted["failed"], "--json")
    outbox("show --curl", "show", planted["failed"], "--curl")
    outbox("show webhook", "show", planted["webhook"])
    outbox("show webhook --curl", "show", planted["webhook"], "--curl")
    outbox("show text", "show", planted["no json"])
    outbox("config show", "config", "show")
    outbox("config show --json", "config", "show", "--json")
    outbox("doctor", "doctor", "--offline")
    outbox("doctor --json", "doctor", "--offline", "--json")
    outbox("send-test", "send-test", code=75)
    outbox("send-test of a webhook", "send-test", "--destination", "crm", "--json", code=75)


def _repair(outbox: Watched, database: Database, folder: Path) -> None:
    by_name = {each["name"]: each["id"] for each in outbox("ids", "failed", "--json").json}
    failed = by_name["document_exported"]
    change = ("--set", f"properties.plan={CANARIES['set value']}")
    outbox("edit --dry-run", "edit", failed, *change, "--dry-run")
    outbox("edit --dry-run of all", "edit", "--name", "document_*", *change, "--dry-run")
    outbox("edit refused", "edit", failed, "--set", f"context={CANARIES['set value']}", code=65)
    outbox("edit misspelt", "edit", failed, "--set", "=" + CANARIES["set value"], code=2)
    outbox("edit what is no object", "edit", by_name["order.lost"], *change, code=65)
    outbox("edit", "edit", failed, *change, "--reason", "a wrong plan")
    again = add(database, state="failed", name="document_again", body=about("identity", plan=CANARIES["property"]))
    outbox("edit many", "edit", "--name", "document_a*", *change, "--yes", "--reason", "a wrong plan")
    outbox("retry what was replaced", "retry", again)
    outbox("retry --dry-run", "retry", "--all", "--dry-run")
    outbox("retry many", "retry", "--name", "order.*", "--yes", "--reason", "they have repaired it", "--rate", "600/m")
    outbox("discard", "discard", by_name["other"], "--reason", "too late")
    outbox("discard pending", "discard", "--state", "pending", "--name", "waits", "--yes")
    outbox("pause", "pause", "--reason", "their maintenance")
    outbox("resume", "resume")
    (folder / "event.json").write_text(about("nobody", plan=CANARIES["given property"]))
    (folder / "wrong.json").write_text(json.dumps({"event": {"name": "x", "context": CANARIES["refused value"]}}))
    (folder / "no.json").write_text(f"{{{CANARIES['given property']}")
    keys = ("--dedup-key", CANARIES["given dedup key"], "--ordering-key", CANARIES["given ordering key"])
    outbox("enqueue", "enqueue", folder / "event.json", *keys)
    outbox("enqueue again", "enqueue", folder / "event.json", *keys)
    outbox("enqueue refused", "enqueue", folder / "wrong.json", code=65)
    outbox("enqueue what is no JSON", "enqueue", folder / "no.json", code=65)


def _work(outbox: Watched, database: Database, server: Refusing, folder: Path) -> None:
    (sent,) = put(database, destination="erp", body=about("nobody", plan=CANARIES["pending property"]))
    outbox.note("worker --drain", _worker(database, "--drain"))
    came = "".join(server.received)
    assert {"bearer token", "tenant header", "webhook query", "endpoint query", "proxy password"} <= seen(came)
    assert {"header in a file", "set value", "given property", "webhook payload"} <= seen(came)
    assert seen(outbox("show what the worker recorded", "show", sent, "--json").out) == {"answer", "pending property"}
    outbox.shown["show what the worker recorded"] -= {"pending property"}
    put(database, body=about("nobody", plan=CANARIES["property"]))
    outbox.note("worker that logs", _worker(database, "--drain", OUTBOX_DELIVERY="log"))
    outbox("list after work", "list", "--json")
    outbox("status after work", "status", "--json")


def _worker(database: Database, *arguments: str, **environment: str) -> Ran:
    return process("worker", *arguments, stdin=b"", OUTBOX_DATABASE_URL=database.url, **environment)


def _forget(outbox: Watched, database: Database) -> None:
    who = ("forget", "--identity", CANARIES["person"], "--identity", CANARIES["forgotten"])
    outbox("forget --dry-run", *who, "--dry-run")
    outbox("forget --dry-run --json", *who, "--dry-run", "--json")
    outbox("forget unasked", *who, code=2)
    outbox("forget for a reason that names them", *who, "--yes", "--reason", CANARIES["person"], code=2)
    erased = outbox("forget", *who, "--yes", "--reason", "request 4711", "--json").json
    assert (erased["delivered"], erased["records"]) == (1, 1)
    outbox("purge --dry-run", "purge", "--state", "delivered", "--older-than", "1d", "--dry-run")
    outbox("purge", "purge", "--state", "delivered", "--older-than", "1d", "--yes")
    outbox("purge --dedup", "purge", "--dedup", "--older-than", "1d", "--yes")


PLUGIN = """
class Leaky:
    def __init__(self, settings):
        self.name, self.url = settings.name, settings.url

    def check(self):
        pass

    def request(self, message):
        try:
            raise KeyError(message.body)
        except KeyError as error:
            raise ValueError(f"{message.body!r} with {self!r}") from error
"""


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("form", ["console", "json"])
def test_the_words_of_an_exception_are_not_logged(
    database: Database, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin that quotes the body in what it raises: the log says what was raised and where, of the cause, too."""
    (tmp_path / "leaky.py").write_text(PLUGIN)
    install(tmp_path, {"leaky": "leaky:Leaky"})
    put(database, destination="lake", body=CANARIES["exception"])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))))
    told = {"URL": "http://127.0.0.1:1/", "KIND": "leaky"}
    given = {f"OUTBOX_DESTINATION_LAKE_{name}": value for name, value in told.items()}
    ran = _worker(database, "--once", OUTBOX_LOG_FORMAT=form, OUTBOX_LOG_LEVEL="debug", **given)
    assert "leaky.py" in ran.err
    assert "builtins.ValueError" in ran.err
    assert "builtins.KeyError" in ran.err
    assert seen(ran.out + ran.err) == set()


def test_database_errors_tell_no_row(
    capsys: pytest.CaptureFixture[str], database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that the database refuses, in its words, with a row in them: neither the row nor its parameters show."""
    for name, value in settings(tmp_path, 1).items():
        monkeypatch.setenv(name, value)
    key = {"ordering_key": CANARIES["ordering key"]}
    for state in ("failed", "pending", "delivered"):
        add(database, state=state, body=about("person"), **key)
    with database.engine.begin() as connection:  # somebody's own idea, which nothing of ours knows of
        connection.execute(text("CREATE UNIQUE INDEX one_of_each ON outbox_message (ordering_key, state)"))
    outbox = Watched(Console(capsys, database))
    outbox("retry", "retry", "--all", "--yes", code=1)
    outbox("edit", "edit", "--all", "--set", f"url={CANARIES['set value']}", "--yes", code=1)
    with fake_server("200") as destination:
        given = environment(database.url, destination.url, log_level="debug")
        with worker(tmp_path, given) as process:
            process.until("The database refused a statement")
        outbox.note("worker", Ran(0, "", process.text))
    # The command that goes on, as the caller has written it.
    assert outbox.shown == {"retry": set(), "edit": {"set value"}, "worker": set()}
