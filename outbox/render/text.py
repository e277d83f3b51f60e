"""Text from outside, made harmless for a terminal and for a log line."""

from __future__ import annotations

import unicodedata

# Printable by Unicode's reckoning, yet they show nothing: words that look alike would not be.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code)
    for first, last in ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
    for code in range(first, last + 1)
}


def safe(text: str) -> str:
    r"""The text with everything that a terminal could obey, or an eye could miss, written as a Python escape.

    Control characters, newlines and escape sequences (CWE-150), bidirectional overrides, zero-width and unassigned
    characters, lone surrogates: `\x1b[2J`, `\n`, `\u202e`. What can be read stays as it is.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if _is_plain(each) else _escaped(each) for each in text)


def _is_plain(character: str) -> bool:
    if character.isprintable():
        return character not in _INVISIBLE
    return unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def width(text: str) -> int:
    """Columns that safe text takes on a terminal: East Asian characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_cells(each) for each in text)


def cut(text: str, columns: int) -> str:
    """Safe text in so many columns at most: what is cut ends in an ellipsis."""
    if width(text) <= columns:
        return text
    rest = columns - 1
    kept = ""
    for each in text:
        rest -= _cells(each)
        if rest < 0:
            break
        kept += each
    return kept + "…"


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
