"""Values to CSV (RFC 4180) that a spreadsheet takes for text, whatever others have written into it."""

from __future__ import annotations

from collections.abc import Iterable

from outbox.render.jsons import jsonable
from outbox.render.text import safe

# What begins a formula, also in full width, as Japanese and Chinese editions read it; and what is passed over before one.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_row(cells: Iterable[object]) -> str:
    """One record. Texts are quoted: in some countries a semicolon would end a cell. None is nothing at all."""
    return ",".join(map(_cell, cells)) + "\r\n"


def _cell(value: object) -> str:
    plain = jsonable(value)
    if plain is None:
        return ""
    if not isinstance(plain, str):
        return str(plain)
    text = safe(plain).replace('"', '""')
    # An apostrophe makes text of what would be a formula (CWE-1236).
    guard = "'" if plain.startswith(_FORMULA) else ""
    return f'"{guard}{text}"'
