"""Answers that a configuration gives another meaning: `409=delivered,520-529=retry`."""

from __future__ import annotations

import re
from typing import NamedTuple

MEANINGS = ("delivered", "retry", "failed", "refused")

_PART = re.compile(r"([1-9]\d\d)(?:-([1-9]\d\d))?\s*=\s*([a-z]+)", re.ASCII)


class Meaning(NamedTuple):
    """What the statuses from `first` to `last` mean: one of `MEANINGS`."""

    first: int
    last: int
    word: str


def answers(text: str) -> tuple[Meaning, ...]:
    """Meanings, separated by commas; the first that names a status decides."""
    return tuple(_meaning(part.strip()) for part in text.split(","))


def show_answers(meanings: tuple[Meaning, ...]) -> str:
    """The text that `answers` reads back."""
    return ",".join(f"{first}={word}" if first == last else f"{first}-{last}={word}" for first, last, word in meanings)


def _meaning(part: str) -> Meaning:
    found = _PART.fullmatch(part.lower())
    if found is None:
        msg = "expected statuses and their meaning, such as 409=delivered or 520-529=retry"
        raise ValueError(msg)
    if found[3] not in MEANINGS:
        msg = f"expected one of {', '.join(MEANINGS)} behind each ="
        raise ValueError(msg)
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        msg = f"{first}-{last} names no status: write the smaller one first"
        raise ValueError(msg)
    return Meaning(first, last, found[3])
