"""Text from outside is harmless wherever it is printed."""

from __future__ import annotations

import io
import sys
import unicodedata
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from outbox.render import Column, age, ago, line, safe, table, to_json
from outbox.render.text import cut, width

_HARMLESS = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Zs"}
_HARMLESS |= {"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So"}


def test_no_character_but_letters_marks_numbers_signs_and_blanks_gets_through() -> None:
    """Of all of Unicode, what a terminal could obey or an eye could miss comes out as ASCII."""
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        shown = safe(character)
        assert shown == character or shown.isascii(), hex(code)
        assert shown.isascii() or unicodedata.category(character) in _HARMLESS, hex(code)
        assert min(shown) > "\x1f", hex(code)
        assert "\x7f" not in shown


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("one\r\ntwo\x85three\u2028four", r"one\r\ntwo\x85three\u2028four"),
        ("abc\u202edef\u2066", r"abc\u202edef\u2066"),
        ("pay\u200bpal\ufeff\u00ad\u2060", r"pay\u200bpal\ufeff\xad\u2060"),
        ("a\u3164b\u034f", r"a\u3164b\u034f"),
        ("\U000e0041\ud800", r"\U000e0041\ud800"),
        ("\x00\x08\x7f", r"\x00\x08\x7f"),
    ],
)
def test_what_commands_a_terminal_or_hides_is_shown_as_an_escape(hostile: str, shown: str) -> None:
    """Escape sequences, line breaks, bidirectional overrides and invisible characters become visible ASCII."""
    assert safe(hostile) == shown


@pytest.mark.parametrize(
    "text", ["", "plain", "Zoë Müller", "東京　タワー", "naïve 🎉 ½", "Привет", "[red]not markup[/red]"]
)
def test_what_people_read_stays(text: str) -> None:
    """Letters of any script, signs and blanks are left alone."""
    assert safe(text) == text


def test_json_is_ascii_without_control_characters() -> None:
    """Even DEL, which JSON would let pass, is escaped; times are RFC 3339 in UTC."""
    moment = datetime(2026, 1, 31, 13, tzinfo=UTC) + timedelta(microseconds=5)
    text = to_json({"a": "\x1b\x7f\u202e\x9b", "id": UUID(int=1), "at": moment, "list": (1, None, True)})
    assert text == (
        r'{"a": "\u001b\u007f\u202e\u009b", "id": "00000000-0000-0000-0000-000000000001", '
        r'"at": "2026-01-31T13:00:00.000005Z", "list": [1, null, true]}'
    )


def test_a_table_in_a_pipe_is_aligned_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Wide characters count as two columns, numbers stand on the right, nothing trails."""
    table((Column("NAME"), Column("N", right=True), Column("LAST")), [("東京", 5, "x"), ("\x1b[1m", 12345, None)])
    assert capsys.readouterr().out == ("NAME         N  LAST\n東京         5  x\n\\x1b[1m  12345\n")


def test_combining_marks_take_no_column() -> None:
    """Width is what a terminal shows."""
    assert width("e\u0301a") == 2
    assert width("東a") == 3


@pytest.mark.parametrize(
    ("columns", "shown"), [(9, "ab東京cde\u0301"), (8, "ab東京c…"), (6, "ab東…"), (5, "ab東…"), (4, "ab…"), (1, "…")]
)
def test_what_is_cut_ends_in_an_ellipsis(columns: int, shown: str) -> None:
    """The cut text takes no more columns than there are; a wide character is not halved."""
    assert cut("ab東京cde\u0301", columns) == shown


def test_a_character_set_without_the_character_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name in Cyrillic on a Latin-1 stream is escaped, not a traceback."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    line("Zoë Ж")
    assert stream.buffer.getvalue() == b"Zo\xeb \\u0416\n"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "under 1 s"), (3.9, "3 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172800, "2 d"), (1e6, "11 d")],
)
def test_ages_are_said_in_one_unit(seconds: float, shown: str) -> None:
    """The largest unit of which there are at least two."""
    assert age(seconds) == shown


def test_moments_lie_before_or_after_now() -> None:
    """A future one is `in …`, a past one `… ago`."""
    now = datetime(2026, 1, 31, tzinfo=UTC)
    assert ago(now - timedelta(hours=3), now) == "3 h ago"
    assert ago(now + timedelta(minutes=5), now) == "in 5 min"
    assert ago(now, now) == "just now"
