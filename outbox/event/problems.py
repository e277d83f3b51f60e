"""What is wrong with an event, gathered, and said without personal data.

Ids, addresses and property values are described by type and length, never quoted. Quoted are only words
that the Event API enumerates (names, contexts) and the names of fields, bounded.
"""

from __future__ import annotations

import re
from typing import Any

from outbox.errors import EventRefused, Problem

_MOST = 20
_LONGEST = 40
_VOWELS = tuple("aeioAEIO")  # a UUID
_WORD = re.compile(r"[\w$.-]{1,40}", re.ASCII)


class Problems:
    """The problems of one body, so that the caller hears of all at once, up to 20."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, field: str, wrong: str, fix: str) -> None:
        """Note one; after 20 give up on the body, which also ends the walk through a cycle."""
        self.found.append(Problem(field, wrong, fix))
        if len(self.found) >= _MOST:
            self.refuse_if_any()

    def refuse_if_any(self) -> None:
        """Raise `EventRefused` with all that was noted."""
        if self.found:
            raise EventRefused(*self.found)


def described(value: Any) -> str:
    """`a str of 12 characters`, `an int`, `None`: what a value is, without telling it."""
    if value is None:
        return "None"
    if isinstance(value, str):
        return f"a str of {len(value)} character{'' if len(value) == 1 else 's'}"
    kind = type(value).__name__[:_LONGEST]
    return f"{'an' if kind.startswith(_VOWELS) else 'a'} {kind}"


def quoted(word: str) -> str:
    """A word that is safe to tell, as Python would write it, at most 40 characters of it."""
    return repr(word) if len(word) <= _LONGEST else f"{word[:_LONGEST]!r}…"


def told_key(key: str) -> str:
    """A field's name, if it looks like one: anybody's data may have become a key."""
    return key if _WORD.fullmatch(key) else f"[a key of {len(key)} character{'' if len(key) == 1 else 's'}]"
