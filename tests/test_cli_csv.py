"""`--csv`: what a spreadsheet opens is text and numbers, whatever others have written."""

from __future__ import annotations

import csv
import io
import re

import pytest

from outbox.render.csvs import csv_row
from outbox.schema import utc_now
from support.commands import Console, add
from support.databases import Database


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def _read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_a_list_has_the_fields_of_the_json(outbox: Console, database: Database) -> None:
    """In the same order, with the same values; nothing is an empty cell; lines end as RFC 4180 has it."""
    add(database, state="failed", last_status=422, last_error='it said "no", twice')
    add(database, state="delivered", settled_at=utc_now())
    for command in ("list", "failed"):
        text, objects = outbox(command, "--csv").out, outbox(command, "--json").json
        assert text.count("\r\n") == text.count("\n") == len(objects) + 1
        rows = _read(text)
        assert [list(row) for row in rows] == [list(each) for each in objects]
        assert rows == [{key: "" if value is None else str(value) for key, value in each.items()} for each in objects]


def test_counts_have_the_fields_of_the_json(outbox: Console, database: Database) -> None:
    """Also by cause and by day."""
    add(database, state="failed")
    for by in ("error", "name", "status", "day"):
        (row,) = _read(outbox("failed", "--by", by, "--csv").out)
        (found,) = outbox("failed", "--by", by, "--json").json
        assert row == {key: "" if value is None else str(value) for key, value in found.items()}


def test_no_message_is_a_line_of_titles(outbox: Console) -> None:
    """A program that reads it finds the columns, and no row."""
    assert outbox("list", "--csv").out.startswith('"id","destination","name","state","attempts"')
    assert len(outbox("list", "--csv").out.splitlines()) == 1
    assert len(outbox("failed", "--by", "day", "--csv").out.splitlines()) == 1


def test_all_pages_are_written(outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the pages, each message is one row under one title."""
    monkeypatch.setattr("outbox.store.look.listing.PAGE", 2)
    added = [str(add(database)) for _ in range(5)][::-1]
    assert [row["id"] for row in _read(outbox("list", "--csv", "--limit", 0).out)] == added


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("plain", '"plain"'),
        ("", '""'),
        ('say "hi", and; so on', '"say ""hi"", and; so on"'),
        ("=1+1", '"\'=1+1"'),
        ('=HYPERLINK("http://x","y")', '"\'=HYPERLINK(""http://x"",""y"")"'),
        ("+1", '"\'+1"'),
        ("-1", '"\'-1"'),
        ("@SUM(A1)", '"\'@SUM(A1)"'),
        ("\t=1", '"\'\\t=1"'),
        ("\r=1", '"\'\\r=1"'),
        ("\n=1", '"\'\\n=1"'),
        ("\uff1d1", '"\'\uff1d1"'),
        ("1=1", '"1=1"'),
        ("a\r\nb\x00\x1b[2J\u202e", '"a\\r\\nb\\x00\\x1b[2J\\u202e"'),
        ("Zoë 東京", '"Zoë 東京"'),
        (None, ""),
        (-17, "-17"),
        (503, "503"),
    ],
)
def test_a_cell_is_never_a_formula(text: object, cell: str) -> None:
    """What would begin one has an apostrophe before it; control characters are written out; numbers are ours."""
    assert csv_row([text, text]) == f"{cell},{cell}\r\n"


def test_hostile_names_and_errors_are_text(outbox: Console, database: Database) -> None:
    """From the row to the file: no formula, no control character, one line for each message."""
    hostile = ("=cmd|' /C calc'!A0", "+1", "-2+3", "@x", "\t=1", "\r=1", '"\r\n=1', "\x1b]0;owned\x07", "\u202egpj.exe")
    for text in hostile:
        add(database, state="failed", name=text, last_error=text)
    for arguments in (("list",), ("failed",), ("failed", "--by", "error"), ("failed", "--by", "name")):
        text = outbox(*arguments, "--csv").out
        assert len(text.splitlines()) == len(hostile) + 1
        assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]", text)
        assert not [
            cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row if cell[:1] in tuple("=+-@\t\r")
        ]


def test_a_listing_has_one_form(outbox: Console) -> None:
    """CSV and JSON at once are a mistake, also for counts."""
    for command in (("list",), ("failed", "--by", "name")):
        ran = outbox(*command, "--csv", "--json")
        assert (ran.code, ran.out) == (2, "")
        assert "--json and --csv exclude each other" in ran.err
