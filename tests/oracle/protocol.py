"""What each call of the store must answer and leave behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from oracle.row import SUSPECT, Row, Token
from outbox.message import Outcome, Retry, State
from outbox.store import Choice, Position


class Held(NamedTuple):
    """A message in a worker's hands."""

    id: str
    token: Token


class Heads(NamedTuple):
    """What a look at the keys finds."""

    rows: Sequence[Row]
    reached: str


class Claimed(NamedTuple):
    """What a claim answers."""

    taken: list[str]
    suspects: bool
    left: bool


@dataclass(frozen=True)
class Plan:
    """What a claim will do when it commits; until then nobody else can lock the rows that it has looked at."""

    token: Token
    looked: Sequence[Row] = ()
    taken: Sequence[Row] = ()
    doomed: Sequence[Row] = ()
    suspects: bool = False
    left: Row | None = None

    @property
    def answer(self) -> Claimed:
        """What the worker is told."""
        return Claimed([row.id for row in self.taken], self.suspects, self.left is not None)

    @property
    def reached(self) -> Row | None:
        """The last row that was looked at, or the one before what was left."""
        place = len(self.looked) if self.left is None else self.looked.index(self.left)
        return self.looked[place - 1] if place else None

    def commit(self) -> None:
        """Do it."""
        for row in self.taken:
            row.lease(self.token)
        for row in self.doomed:
            row.give_up(self.token)


class Settled(NamedTuple):
    """What a settle answers."""

    lost: set[Held]
    locked: set[Held]
    successors: set[str]


@dataclass
class Oracle:
    """All that is committed."""

    blocks: bool
    now: datetime
    """The database's clock, when it was last looked at."""
    rows: dict[str, Row] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    locked: set[str] = field(default_factory=set)
    """Messages whose rows an open transaction has locked."""

    def claim(
        self,
        destination: str,
        choice: Choice,
        *,
        limit: int,
        free: int,
        token: Token,
        after: Position | None = None,
    ) -> Plan:
        """Claim messages without a key, those that have been due longest first."""
        found = self.claimable(destination, choice, after)
        return _plan(found[:limit], choice, free, token)

    def claimable(self, destination: str, choice: Choice, after: Position | None) -> list[Row]:
        """The messages without a key that a claim could look at, in their order."""
        if destination in self.paused:
            return []
        found = [row for row in self._pending(destination) if row.key is None and self._can_be_claimed(row, choice)]
        found = [row for row in found if row.id not in self.locked and (after is None or _is_behind(row, after))]
        return sorted(found, key=lambda row: (row.due, row.id))

    def look(self, destination: str, choice: Choice, *, after: str, limit: int) -> Heads:
        """Find heads of the next keys that can be claimed. It locks nothing and passes over no lock."""
        keys = sorted({row.key for row in self._pending(destination) if row.key is not None and row.key > after})
        found: list[Row] = []
        for key in keys:
            head = self.head(destination, key)
            if head is not None and self._is_offered(head, choice):
                found.append(head)
                if len(found) == limit:
                    return Heads(found, key)
        return Heads(found, keys[-1] if keys else "")

    def suspect_heads(self, destination: str) -> dict[str, Row]:
        """The suspects that are heads of their keys: a look for them takes any one."""
        found = [row for row in self._heads(destination) if self._is_offered(row, Choice.SUSPECT)]
        return {row.key: row for row in found if row.key is not None}

    def claim_heads(self, heads: Sequence[Row], choice: Choice, *, free: int, token: Token) -> Plan:
        """Claim heads that a look has found."""
        return _plan([row for row in heads if row.id not in self.locked], choice, free, token)

    def settle(
        self, outcomes: Iterable[tuple[Held, Outcome]], unsent: Iterable[Held], succession: Token | None
    ) -> Settled:
        """Give back what was not sent, settle what was, and go on with the keys of what is settled."""
        for held in unsent:
            if self.holds(held) and held.id not in self.locked:
                self.rows[held.id].release()
        answer = Settled(set(), set(), set())
        ended: dict[str, list[str]] = {}
        for held, outcome in outcomes:
            row = self.rows[held.id]
            if row.token != held.token:
                answer.lost.add(held)
            elif row.held and held.id in self.locked:
                answer.locked.add(held)
            else:
                if row.held:
                    row.settle(outcome, self.now)
                if row.key is not None and not isinstance(outcome, Retry):
                    ended.setdefault(row.destination, []).append(row.key)
        if succession is not None:
            answer.successors.update(self._succeed(ended, succession))
        return answer

    def retry(self, ids: Iterable[str]) -> dict[str, State | None]:
        """Let an operator send failed messages again; say what each one was."""
        found = {each: self.rows[each].state if each in self.rows else None for each in ids}
        for each, state in found.items():
            if state is State.FAILED:
                self.rows[each].send_again(self.now)
        return found

    def expire(self, ids: Iterable[str]) -> None:
        """Let the leases of these end."""
        for each in ids:
            self.rows[each].expired = True

    def waiting(self, destination: str) -> tuple[int, int, bool]:
        """Count what could be claimed now, were the destination not paused, and what is held."""
        due = [row for row in self._pending(destination) if row.is_due(self.now)]
        leased = [row for row in due if not row.is_free()]
        free = [row for row in due if row.is_free() and (row.key is None or self._is_at_its_turn(row))]
        return len(free), len(leased), destination in self.paused

    def head(self, destination: str, key: str) -> Row | None:
        """The oldest pending message of a key."""
        rows = [row for row in self._pending(destination) if row.key == key]
        return min(rows, key=lambda row: row.place, default=None)

    def _heads(self, destination: str) -> Iterator[Row]:
        for key in sorted({row.key for row in self._pending(destination) if row.key is not None}):
            head = self.head(destination, key)
            assert head is not None
            yield head

    def _pending(self, destination: str) -> list[Row]:
        return [row for row in self.rows.values() if row.destination == destination and row.pending]

    def _can_be_claimed(self, row: Row, choice: Choice) -> bool:
        is_chosen = choice is Choice.ANY or (row.losses() >= SUSPECT) is (choice is Choice.SUSPECT)
        return row.is_due(self.now) and row.is_free() and is_chosen

    def _is_offered(self, head: Row, choice: Choice) -> bool:
        return head.destination not in self.paused and not self._is_blocked(head) and self._can_be_claimed(head, choice)

    def _is_at_its_turn(self, row: Row) -> bool:
        assert row.key is not None
        return self.head(row.destination, row.key) is row and not self._is_blocked(row)

    def _is_blocked(self, head: Row) -> bool:
        """Whether one before it in its key has failed, where that holds up those behind it."""
        key = [row for row in self.rows.values() if (row.destination, row.key) == (head.destination, head.key)]
        return self.blocks and any(row.state is State.FAILED and row.place < head.place for row in key)

    def holds(self, held: Held) -> bool:
        """Whether a claim is still on its message, be it expired."""
        row = self.rows[held.id]
        return row.held and row.token == held.token

    def _succeed(self, ended: dict[str, list[str]], token: Token) -> Iterator[str]:
        """Claim the next ones of keys: no suspects, and none that needs a free sender."""
        for destination, keys in ended.items():
            heads = [self.head(destination, key) for key in dict.fromkeys(keys)]
            plan = _plan(
                [row for row in heads if row is not None and self._can_succeed(row, token)], Choice.ANY, 0, token
            )
            plan.commit()
            yield from plan.answer.taken

    def _can_succeed(self, head: Row, token: Token) -> bool:
        is_there = head.destination not in self.paused and head.id not in self.locked and not self._is_blocked(head)
        return is_there and head.is_due(self.now) and head.is_free(token)


def _plan(rows: Sequence[Row], choice: Choice, free: int, token: Token) -> Plan:
    """Sort out rows: given up, left for a worker with nothing else in hand, left for a free sender, taken."""
    doomed = [row for row in rows if row.is_doomed(token)]
    alive = [row for row in rows if not row.is_doomed(token)]
    suspects = [row for row in alive if row.losses(token) >= SUSPECT]
    wanted = alive if choice is Choice.SUSPECT else [row for row in alive if row not in suspects]
    waiting = [row for row in wanted[free:] if row.park]
    taken = [row for row in wanted if row not in waiting]
    is_suspect = bool(alive) if choice is Choice.SUSPECT else bool(suspects)
    return Plan(token, rows, taken, doomed, is_suspect, waiting[0] if waiting else None)


def _is_behind(row: Row, after: Position) -> bool:
    assert row.due is not None
    return (row.due, row.id) > (after.due_at, str(after.id))
