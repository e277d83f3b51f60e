"""A step: what one actor can do next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from model.rows import Rows
from model.scope import Fault
from model.workers import Worker


class Step(NamedTuple):
    """What a worker, or somebody else, does; and what that makes of the rows and of the worker."""

    says: str
    rows: Rows
    worker: Worker
    taken: int = 0
    """The rows from which it takes the token of whoever held it."""
    fault: Fault | None = None


NOBODY = Worker()
"""In the place of the worker where it is no worker's step."""


def names(messages: Iterable[int]) -> str:
    """How a history calls messages."""
    return " ".join(f"m{message + 1}" for message in messages)
