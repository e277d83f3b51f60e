"""Where the next claim begins: behind the last one, and now and then further back.

Why not always at the start: on PostgreSQL the index entries of settled messages stay at its head for as long as any
transaction's snapshot is older (a backup, a report), and each claim would pass over all of them. Why further back:
claims that expired or were given back, and messages that committed late, lie behind the last place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from outbox.clock import lease_clock
from outbox.store import Claimed, Position

LOOK_BACK_SECONDS = 2.0
"""How long a transaction may take between its enqueue and its COMMIT and still be found at once."""

SHARE = 0.05
"""Share of the time that looking further back may take."""


class Turn:
    """Says when it is time again for something that must not take more than its share of the time."""

    def __init__(self, shortest: float) -> None:
        self._shortest = shortest
        self._next = 0.0

    def has_come(self) -> bool:
        """Whether it is time."""
        return lease_clock() >= self._next

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Measure what is done in this turn; the next one comes so much later."""
        began = lease_clock()
        yield
        ended = lease_clock()
        self._next = ended + max(self._shortest, (ended - began) * (1 / SHARE - 1))


class Watermark:
    """The place behind the last claim, for messages without a key."""

    def __init__(self) -> None:
        self._mark: Position | None = None
        self._found: list[Position | None] = []
        self._onward, self._look_back, self._sweep = Turn(0.0), Turn(0.05), Turn(0.25)

    def start(self) -> tuple[Position | None, Turn]:
        """Where to begin now (None: at the start), and the turn that this takes."""
        if self._found:
            return self._found.pop(), self._onward
        if self._mark is None or self._sweep.has_come():
            return None, self._sweep
        if self._look_back.has_come():
            return self._mark.earlier(LOOK_BACK_SECONDS), self._look_back
        return self._mark, self._onward

    def has_found(self, start: Position | None) -> None:
        """Take in that a look from there on has found something: the next claim begins there, too."""
        self._found = [start]

    def advance(self, start: Position | None, claimed: Claimed) -> None:
        """Take in what a claim that began at `start` came to.

        Where it left something behind, or may not have come to the end, the next one goes on there.
        """
        if claimed.left:
            self._mark = claimed.reached or start
        elif claimed.reached and (claimed.more or self._mark is None or claimed.reached > self._mark):
            self._mark = claimed.reached


class Ring:
    """The place behind the last key looked at: looks go round the keys."""

    def __init__(self) -> None:
        self.after = ""
        self.turn = Turn(0.05)
        self._yields = False

    def has_come(self) -> bool:
        """Whether to look at some keys: at once while that finds something."""
        return self._yields or self.turn.has_come()

    def has_found(self) -> None:
        """Take in that messages with a key are pending: the next claim looks at the keys."""
        self._yields = True

    def advance(self, claimed: Claimed, reached: str) -> None:
        """Take in what a look found."""
        self.after = reached
        self._yields = bool(claimed.messages)
