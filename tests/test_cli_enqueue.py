"""`outbox enqueue`: events from files, all or none."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from support.commands import MINIMAL, Console, Ran, process, rows
from support.databases import Database
from support.events import BODIES, BODY_NAMES, body

BAD_CONTEXT = body("minimal") | {"event": body("minimal")["event"] | {"context": "web"}}

only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def _file(folder: Path, content: str | bytes, name: str = "events.json") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _refused(ran: Ran, database: Database) -> list[str]:
    """Exit 65 and nothing written; the lines on standard error but the last."""
    assert (ran.code, ran.out) == (65, "")
    *lines, last = ran.err.splitlines()
    assert last == "outbox: nothing was enqueued"
    assert rows(database) == []
    return lines


def test_files_become_messages(outbox: Console, database: Database) -> None:
    """One id a line, in the order of the files; each body is equal as JSON to its file."""
    ran = outbox("enqueue", *(BODIES / f"{name}.json" for name in BODY_NAMES))
    assert (ran.code, ran.err) == (0, "")
    found = rows(database)
    assert [UUID(line) for line in ran.out.splitlines()] == [row.id for row in found]
    assert [json.loads(row.body) for row in found] == [body(name) for name in BODY_NAMES]
    assert {(row.state, row.destination, row.on_unknown) for row in found} == {("pending", "overcentric", "retry")}


def test_json_lines(outbox: Console, database: Database, tmp_path: Path) -> None:
    """A body a line, blank lines between them, with or without a byte order mark and carriage returns."""
    lines = [json.dumps(body(name)) for name in BODY_NAMES]
    path = _file(tmp_path, "\ufeff" + "\r\n\r\n".join(lines) + "\r\n", "events.jsonl")
    assert outbox("enqueue", path).code == 0
    assert [json.loads(row.body) for row in rows(database)] == [body(name) for name in BODY_NAMES]


@only_sqlite
def test_standard_input(database: Database) -> None:
    """`-` is standard input, of a true process."""
    ran = process("enqueue", "-", "--database-url", database.url, stdin=MINIMAL.encode())
    assert (ran.code, ran.err) == (0, "")
    assert [str(row.id) for row in rows(database)] == ran.out.split()
    ran = process("enqueue", "-", "--database-url", database.url, stdin=b"")
    assert (ran.code, ran.out) == (65, "")
    assert ran.err.startswith("<stdin>: holds no event\n")


@only_sqlite
def test_options_go_into_the_row(outbox: Console, database: Database, tmp_path: Path) -> None:
    """--delay by the database's clock, --on-unknown, --project-id for events that name none."""
    given = body("minimal")
    del given["event"]["project_id"]
    path = _file(tmp_path, json.dumps(given))
    assert outbox("enqueue", path, "--delay", "1h", "--on-unknown", "park", "--project-id", "from-flag").code == 0
    (row,) = rows(database)
    assert 3599 < (row.due_at - row.created_at).total_seconds() < 3601
    assert row.on_unknown == "park"
    assert json.loads(row.body)["event"]["project_id"] == "from-flag"
    assert outbox("status", "--json").json["scheduled"] == 1


def test_a_dedup_key_is_enqueued_once(outbox: Console, database: Database) -> None:
    """A repeat creates nothing and prints the first message's id."""
    path = BODIES / "minimal.json"
    first = outbox("enqueue", path, "--dedup-key", "evt_1")
    assert outbox("enqueue", path, "--dedup-key", "evt_1").out == first.out
    assert outbox("enqueue", path, "--dedup-key", "evt_2").out != first.out
    assert len(rows(database)) == 2


@only_sqlite
def test_a_dedup_key_is_for_one_event(outbox: Console, database: Database) -> None:
    """Exit 2 with two events; a key that can never be right is refused."""
    path = BODIES / "minimal.json"
    assert outbox("enqueue", path, path, "--dedup-key", "evt_1").code == 2
    ran = outbox("enqueue", path, "--dedup-key", "a\nb")
    assert (ran.code, ran.err.count("\n")) == (65, 1)
    assert rows(database) == []


def test_an_ordering_key_is_shared_by_all(outbox: Console, database: Database) -> None:
    """The events of all files, in the order given; `show` tells the key."""
    ran = outbox("enqueue", *(BODIES / f"{name}.json" for name in BODY_NAMES), "--ordering-key", "customer 7")
    assert (ran.code, ran.err) == (0, "")
    found = rows(database)
    assert [str(row.id) for row in sorted(found, key=lambda row: (row.created_at, row.id))] == ran.out.split()
    assert [json.loads(row.body) for row in found] == [body(name) for name in BODY_NAMES]
    assert {row.ordering_key for row in found} == {"customer 7"}
    shown = outbox("show", found[0].id).out
    assert re.search(r"^ordering_key +customer 7$", shown, re.MULTILINE)
    assert outbox("show", found[0].id, "--json").json["ordering_key"] == "customer 7"


@only_sqlite
def test_a_wrong_ordering_key_is_refused(outbox: Console, database: Database) -> None:
    """Exit 65 for a key that can never be right, and for one beside a delay."""
    path = BODIES / "minimal.json"
    ran = outbox("enqueue", path, "--ordering-key", "a\nb")
    assert (ran.code, ran.err.count("\n")) == (65, 1)
    assert "--ordering-key: holds a control character" in ran.err
    ran = outbox("enqueue", path, "--ordering-key", "a", "--delay", "1h")
    assert ran.code == 65
    assert "delay: is given together with an ordering key; leave it out" in ran.err
    assert rows(database) == []


@only_sqlite
def test_settings_of_the_file_count(outbox: Console, database: Database, tmp_path: Path) -> None:
    """`--config` decides, not the environment alone."""
    given = body("minimal")
    given["event"]["name"] = "$trial_start"
    path = _file(tmp_path, json.dumps(given))
    settings = _file(tmp_path, 'allow_names = ["$trial_start"]\nmax_body = "1KiB"\n', "outbox.toml")
    assert outbox("enqueue", path).code == 65
    assert outbox("enqueue", path, "--config", settings).code == 0
    given["event"]["properties"] = {"long": "x" * 1000}
    ran = outbox("enqueue", _file(tmp_path, json.dumps(given)), "--config", settings)
    assert ran.code == 65
    assert "the limit is 1024" in ran.err
    assert len(rows(database)) == 1


def test_one_refused_body_stops_all(outbox: Console, database: Database, tmp_path: Path) -> None:
    """Every problem of every file, a line each, before anything is written."""
    lines = [json.dumps(each) for each in (body(), BAD_CONTEXT, body(), {"event": {"name": "x"}})]
    bad = _file(tmp_path, "\n".join(lines), "events.jsonl")
    other = _file(tmp_path, json.dumps([body()]), "list.json")
    lines = _refused(outbox("enqueue", BODIES / "minimal.json", bad, other), database)
    assert lines[-1].startswith(f"{other}: is no request body")
    assert any(line.startswith(f"{bad}:2: event.context: ") and "product" in line for line in lines)
    assert {line.split(": ")[1] for line in lines if line.startswith(f"{bad}:4: ")} == {
        "event.project_id", "event.device_id", "event.session_id", "event.context",
    }  # fmt: skip


@only_sqlite
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"event": {\n  "name": oops}}', ":2:11: is not JSON: Expecting value"),
        ("", ": holds no event"),
        (" \n\n", ": holds no event"),
        (b'{"a": "\xff"}', ": is not UTF-8 text: byte 8 is wrong"),
        ('{"event": {}, "event": {}}', ': the key "event" stands twice in one object'),
        ('{"event": {"properties": {"n": NaN}}}', ": NaN is not JSON"),
        ('{"event": {"properties": {"n": -Infinity}}}', ": -Infinity is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", ": a number has more than 400 digits"),
        ("[" * 100_000, ": is nested too deep"),
        ("17", ": is no request body"),
        (MINIMAL.replace("\n", "") + "\n{oops}\n", ":2:2: is not JSON: Expecting property name"),
        (MINIMAL.replace("\n", "") + '\n{"a": 1, "a": 2}', ':2: the key "a" stands twice'),
        (MINIMAL.replace("website", "\\ud800"), ": event.context: "),
        (MINIMAL.replace('"website"', '"website", "properties": {"n": 1e999}'), ": event.properties.n: is infinite"),
        (MINIMAL.replace("invoice_email_sent", "$subscription_purchse"), "$subscription_purchase"),
        (MINIMAL.replace('"website"', '"website", "properties": {"n": "' + "x" * 2**20 + '"}'), "the limit is 262144"),
    ],
)
def test_what_is_no_body_is_refused(
    outbox: Console, database: Database, tmp_path: Path, content: str | bytes, expected: str
) -> None:
    """Exit 65 with the file, the line where there is one, and what is wrong; nothing is written."""
    path = _file(tmp_path, content)
    ran = outbox("enqueue", path)
    lines = _refused(ran, database)
    assert all(line.startswith(str(path)) for line in lines)
    assert expected in ran.err


@only_sqlite
def test_hostile_content_reaches_no_terminal(outbox: Console, database: Database, tmp_path: Path) -> None:
    """Neither a file's name nor its content can command a terminal or begin a new line."""
    given: dict[str, Any] = body("minimal")
    given["event"]["context"] = "\x1b[2J\nX"
    given["event"]["\x1b]0;owned\x07"] = 1
    path = _file(tmp_path, json.dumps(given), "a\x1b[31m\nb.json")
    lines = _refused(outbox("enqueue", path), database)
    assert all(str(tmp_path) in line and line.isprintable() for line in lines)


@only_sqlite
def test_an_unreadable_file_is_a_usage_error(outbox: Console, database: Database, tmp_path: Path) -> None:
    """Exit 2, naming the file and the reason; nothing is written, also of the files that can be read."""
    ran = outbox("enqueue", BODIES / "minimal.json", tmp_path / "absent.json")
    assert (ran.code, ran.out) == (2, "")
    assert "absent.json cannot be read: No such file or directory" in ran.err
    assert outbox("enqueue", tmp_path).code == 2
    assert outbox("enqueue").code == 2
    assert outbox("enqueue", BODIES / "minimal.json", "--delay", "soon").code == 2
    assert rows(database) == []


@only_sqlite
def test_a_suspicious_name_is_enqueued_with_a_warning(outbox: Console, database: Database, tmp_path: Path) -> None:
    """What is probably not meant is said on standard error, with the file; the id alone is on standard output."""
    path = _file(tmp_path, MINIMAL.replace("invoice_email_sent", "$click"))
    ran = outbox("enqueue", path)
    assert ran.code == 0
    assert ran.err.startswith(f"{path}: warning: ")
    assert ran.out == f"{rows(database)[0].id}\n"


@only_sqlite
def test_a_failure_while_writing_leaves_nothing(outbox: Console, database: Database) -> None:
    """All are written in one transaction: the second one fails, the first one is not there."""
    with sqlite3.connect(str(database.engine.url.database)) as connection:
        connection.execute(
            "CREATE TRIGGER stop BEFORE INSERT ON outbox_message WHEN NEW.name = '$subscription_purchase' "
            "BEGIN SELECT RAISE(ABORT, 'stopped'); END"
        )
    connection.close()
    refused = outbox("enqueue", BODIES / "minimal.json", BODIES / "stripe_webhook.json")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "outbox: The database refused a statement: stopped\n"
    assert rows(database) == []


@only_sqlite
def test_a_webhook_takes_any_json(outbox: Console, database: Database, tmp_path: Path) -> None:
    """--destination of the file that --config names; what to do in doubt is the destination's, if no flag says it."""
    config = tmp_path / "outbox.toml"
    config.write_text('[destinations.crm]\nurl = "https://crm.example/"\non_unknown = "park"\n')
    path = _file(tmp_path, '{"type": "order.paid"}\n[1, 2]\n', "payloads.jsonl")
    there = ("--destination", "crm", "--config", config)
    assert outbox("enqueue", path, *there).code == 0
    assert outbox("enqueue", path, *there, "--on-unknown", "retry", "--ordering-key", "k").code == 0
    found = [(row.destination, row.name, row.body, row.on_unknown, row.ordering_key) for row in rows(database)]
    assert found == [
        ("crm", "order.paid", '{"type":"order.paid"}', "park", None),
        ("crm", "crm", "[1,2]", "park", None),
        ("crm", "order.paid", '{"type":"order.paid"}', "retry", "k"),
        ("crm", "crm", "[1,2]", "retry", "k"),
    ]


@only_sqlite
def test_a_destination_that_is_not_configured(outbox: Console, database: Database, tmp_path: Path) -> None:
    """Refused with the names there are, before anything is read or written."""
    ran = outbox("enqueue", _file(tmp_path, MINIMAL), "--destination", "crm")
    assert ran.code == 65
    assert "destination: is 'crm', which is not configured here; set OUTBOX_DESTINATION_CRM_URL" in ran.err
    assert rows(database) == []


@only_sqlite
def test_park_by_name(outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """OUTBOX_PARK counts for the command as for `outbox.enqueue`."""
    monkeypatch.setenv("OUTBOX_PARK", f"{body('minimal')['event']['name'][:4]}*")
    assert outbox("enqueue", BODIES / "minimal.json").code == 0
    assert [row.on_unknown for row in rows(database)] == ["park"]
