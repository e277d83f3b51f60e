"""The one boundary at which foreign text is made fit to be recorded: recording a failure must not itself fail."""

from __future__ import annotations

import re

ERROR_BYTES = 500
"""Longest recorded error, in bytes of UTF-8."""

RESPONSE_BYTES = 1000
"""Longest recorded excerpt of an answer, in bytes of UTF-8."""

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Lone surrogates have no UTF-8; the control characters (C0 but tab and line ends, DEL, C1) are harmless
# to a database and harmful to a terminal.
_UNFIT = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(text: str | bytes, limit: int) -> str:
    """Text that every database stores and gives back alike, of at most `limit` bytes of UTF-8.

    NUL is removed (PostgreSQL refuses it, SQLite's tools end at it). Undecodable bytes, lone surrogates and
    control characters become U+FFFD. What is too long is cut at a character.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    fit = _UNFIT.sub(_REPLACEMENT, text.replace("\0", ""))
    return fit.encode()[:limit].decode("utf-8", "ignore")
