"""What one transaction of a producer's enqueues, and what of it a savepoint undid."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

import outbox
from outbox.message import OnUnknown


class Made(NamedTuple):
    """A message as `enqueue` made it."""

    id: str
    marker: str
    at: float
    options: tuple[str | None, str | None, bool]
    """`dedup_key`, `ordering_key`, park."""


class Work:
    """Events of one transaction; each has a number of its own in its properties."""

    session: Session

    def __init__(self, name: str) -> None:
        self.kept: list[Made] = []
        self.undone: list[Made] = []
        self._name = name
        self._count = 0

    def enqueue(self, times: int = 1, **options: Any) -> None:
        """Enqueue some events, one by one."""
        asked = options.get("dedup_key"), options.get("ordering_key"), options.get("on_unknown") == "park"
        for _ in range(times):
            marker, at = self._marker(), time.monotonic()
            made = outbox.enqueue(self.session, _event(marker), **options)
            self.kept.append(Made(str(made), marker, at, asked))

    def enqueue_many(self, size: int, *, ordering_keys: Sequence[str] | None = None, park: bool = False) -> None:
        """Enqueue many at once."""
        markers, at = [self._marker() for _ in range(size)], time.monotonic()
        events = [_event(each) for each in markers]
        on_unknown = OnUnknown.PARK if park else OnUnknown.RETRY
        made = outbox.enqueue_many(self.session, events, ordering_keys=ordering_keys, on_unknown=on_unknown)
        keys: Sequence[str | None] = ordering_keys or [None] * size
        for identity, marker, key in zip(made, markers, keys, strict=True):
            self.kept.append(Made(str(identity), marker, at, (None, key, park)))

    @contextmanager
    def savepoint(self, *, keep: bool) -> Iterator[None]:
        """Run a block in a savepoint, and keep it or undo it."""
        before = len(self.kept)
        savepoint = self.session.begin_nested()
        yield
        if keep:
            savepoint.commit()
        else:
            savepoint.rollback()
            self.undone += self.kept[before:]
            del self.kept[before:]

    def _marker(self) -> str:
        self._count += 1
        return f"{self._name}-{self._count}"


def _event(marker: str) -> outbox.Event:
    return outbox.Event.server("chaos_happened", project_id="chaos", properties={"marker": marker})
