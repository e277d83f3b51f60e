"""All traces of a person: searched through the whole of the tables, and erased one after another."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection

from outbox.event.identities import Identities
from outbox.store.forget.erase import erase, erase_records, still_there
from outbox.store.forget.find import (
    KeyTrace,
    MessageTrace,
    Page,
    RecordTrace,
    find_keys,
    find_messages,
    find_records,
)
from outbox.store.purge.keys import by_destination, delete_keys
from outbox.store.transactions import Transactions

AT_ONCE = 200
"""Messages that are erased in one transaction."""

HELD_SECONDS = 0.5
"""Between two looks whether a worker has let go of a message."""

T = TypeVar("T")

Advance: TypeAlias = Callable[[int, int], None]
"""Takes how many rows have been looked at, twice: nobody knows how many there are."""


@dataclass(frozen=True, slots=True)
class Traces:
    """Where a person stands."""

    messages: list[MessageTrace]
    records: list[RecordTrace]
    """Records of attempts at other messages: an answer may name whoever it likes."""
    keys: list[KeyTrace]

    def __bool__(self) -> bool:
        return bool(self.messages or self.records or self.keys)


@dataclass(slots=True)
class Erased:
    """How much has been erased so far."""

    messages: Counter[str] = field(default_factory=Counter)
    """By the state that they were in. Those that were pending will not be sent."""
    records: int = 0
    keys: int = 0
    held: list[str] = field(default_factory=list)
    """Messages that a worker has in hand: they are as they were."""


def search(looks: Transactions, who: Identities, advance: Advance) -> Traces:
    """Look through all messages, records of attempts and keys. What is enqueued meanwhile is seen, too, up to the end.

    Keys of other people's messages stay, even where they hold such a word: they keep those from being sent twice.
    """
    walker = _Walker(looks, who, advance)
    messages = walker.walk(find_messages)
    ids = {each.id for each in messages}
    records = [each for each in walker.walk(find_records) if str(each.message_id) not in ids]
    keys = [each for each in walker.walk(find_keys) if not each.has_owner or str(each.message_id) in ids]
    return Traces(messages, records, keys)


class _Walker:
    """Goes along tables, and tells how many rows have been looked at."""

    def __init__(self, looks: Transactions, who: Identities, advance: Advance) -> None:
        self._looks = looks
        self._who = who
        self._advance = advance
        self._looked = 0

    def walk(self, find: Callable[[Connection, Identities, Any], Page[T]]) -> list[T]:
        """Find all that there is, page after page."""
        found: list[T] = []
        after: Any = None
        while True:
            page = self._looks.run(find, self._who, after)
            found += page.found
            self._looked += page.looked
            self._advance(self._looked, self._looked)
            if page.reached is None:
                return found
            after = page.reached


def erase_all(writes: Transactions, who: Identities, traces: Traces, erased: Erased, *, wait: float) -> None:
    """Erase what was found, and count it in `erased`: also when it is interrupted.

    What a worker has in hand is waited for, up to `wait` seconds: it becomes delivered or failed, or is put off.
    """
    deadline = time.monotonic() + wait
    left: Collection[str] = [each.id for each in traces.messages]
    while left:
        left = erased.held = _erase_free(writes, left, erased)
        if not left or time.monotonic() > deadline:
            break
        time.sleep(HELD_SECONDS)
    for some in _slices(traces.records):
        writes.run(erase_records, who, some)
        erased.records += len(some)
    for name, rows in by_destination([(each.destination, each.key) for each in traces.keys]):
        for keys in _slices([key for _, key in rows]):
            writes.run(delete_keys, name, keys)
            erased.keys += len(keys)


def _erase_free(writes: Transactions, ids: Collection[str], erased: Erased) -> list[str]:
    """Erase those that nobody holds; give the others."""
    held: list[str] = []
    for some in _slices([*ids]):
        done = writes.run(erase, some)
        erased.messages.update(state for _, state in done)
        if others := {*some} - {each for each, _ in done}:
            held += writes.run(still_there, sorted(others))
    return held


def _slices(found: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(found), AT_ONCE):
        yield found[start : start + AT_ONCE]
