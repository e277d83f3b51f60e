"""What is kept for a time of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias


class Kept(Enum):
    """What is kept for a time of its own."""

    DELIVERED = "delivered"
    """Messages that were delivered, with the records of their attempts."""
    FAILED = "failed"
    """Messages that were given up, with the records of their attempts."""
    BODIES = "bodies"
    """Bodies of messages that were delivered: the messages stay, without what they said."""
    KEYS = "keys"
    """Keys against duplicates. Those of pending messages stay, however old."""


PrimaryKey: TypeAlias = tuple[str, ...]
"""A message's id; or the destination of a key against duplicates, and the key."""


class Span(NamedTuple):
    """Where to look: behind a primary key, and, among messages, before an id."""

    after: PrimaryKey
    until: str


@dataclass(frozen=True, slots=True)
class Page:
    """What one look along a primary key has found."""

    old: list[PrimaryKey]
    """What is to go."""
    looked: int
    """Rows that were looked at."""
    reached: PrimaryKey | None
    """The last of them; None at the end."""
