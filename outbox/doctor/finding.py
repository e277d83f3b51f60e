"""What a check has found."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from outbox.errors import OutboxError


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and something may be lost, seen by others, or not be what was meant."""
    PROBLEM = "problem"
    """It must be repaired before events are delivered, or before a commit can be trusted."""


class Finding(NamedTuple):
    """One finding. Its texts hold no secret, and may hold text from outside."""

    check: str
    level: Level
    text: str
    remedy: str | None = None
    """What to do; None where nothing is to be done."""


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, text)


def warning(check: str, text: str, remedy: str) -> Finding:
    """Something that works, and should be looked at."""
    return Finding(check, Level.WARNING, text, remedy)


def problem(check: str, text: str, remedy: str) -> Finding:
    """Something that must be repaired."""
    return Finding(check, Level.PROBLEM, text, remedy)


def raised(check: str, error: OutboxError) -> Finding:
    """What the outbox itself says of it."""
    return problem(check, error.message, error.hint)
