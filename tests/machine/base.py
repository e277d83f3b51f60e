"""What all rules share: the database, the oracle, and the comparison of the two."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from oracle import Held, Ledger, Oracle, Row, Token, comes_before
from outbox.message import Message, State
from outbox.store import Store
from support.stage import Facts, Stage, facts

DESTINATION_NAMES = ("overcentric", "elsewhere")
DESTINATIONS = st.sampled_from(["overcentric"] * 5 + ["elsewhere"])

LATER = 7200.0
"""Seconds; longer than any run."""

_ROUNDING = timedelta(milliseconds=2)
"""SQLite's clock has milliseconds."""


class Base(RuleBasedStateMachine):
    """A database and its oracle."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        stage.clear()
        self.oracle = Oracle(blocks=False, now=stage.look()[1])
        self.ledger = Ledger()
        self.fresh = count(1)
        self._steps = count()
        self._tokens: dict[Token, UUID] = {}
        self._claims: dict[UUID, Token] = {}
        self._live: dict[str, UUID] = {}
        """The claims that workers were told of and that still run: kept without the oracle."""

    @property
    def store(self) -> Store:
        """The workers' store."""
        return self.stage.stores[self.oracle.blocks]

    @invariant()
    def agree(self) -> None:
        """Compare each message with what the oracle has of it, and what a draining worker is told of one destination."""
        self._compare_tables()
        name = DESTINATION_NAMES[next(self._steps) % 2]
        waiting = self.store.waiting(name)
        assert (waiting.due, waiting.leased, waiting.paused) == self.oracle.waiting(name)

    def received(self, messages: Sequence[Message]) -> None:
        """See that what a worker was given is what was promised."""
        for each in messages:
            row = self.oracle.rows[each.id]
            told = (each.name, each.destination, each.keyed, each.on_unknown == "park", each.attempts)
            assert told == (row.name, row.destination, row.key is not None, row.park, row.attempts)
            assert each.id not in self._live, "two workers hold a message"
            self._live[each.id] = each.claim.token
            self._see_its_turn(row)

    def unlocked(self) -> list[Row]:
        """Give the messages whose rows nobody has locked, oldest first."""
        return [row for row in self.oracle.rows.values() if row.id not in self.oracle.locked]

    def end_leases(self, rows: Sequence[Row]) -> None:
        """Let the leases of these end, but for those whose rows somebody has locked."""
        ids = [row.id for row in rows if row.id not in self.oracle.locked]
        self.stage.expire(ids)
        self.oracle.expire(ids)
        for each in ids:
            self.over(each)

    def over(self, identity: str, token: UUID | None = None) -> None:
        """Take note that a claim is over; without a token, whosever it was."""
        if token is None or self._live.get(identity) == token:
            self._live.pop(identity, None)

    def bind(self, token: Token, claim: UUID) -> None:
        """See that a token of the oracle's always stands for the same token of the database's, and no other does."""
        assert self._tokens.setdefault(token, claim) == claim
        assert self._claims.setdefault(claim, token) == token

    def held(self, message: Message) -> Held:
        """Give the oracle's word for a message in a worker's hands."""
        return Held(message.id, self._claims[message.claim.token])

    def _compare_tables(self) -> None:
        rows, now = self.stage.look()
        expected = {row.id: _facts(row) for row in self.oracle.rows.values()}
        assert {each: facts(row) for each, row in rows.items()} == expected
        for row in self.oracle.rows.values():
            self._adopt(row, rows[row.id], now)
        self.oracle.now = now

    def _see_its_turn(self, row: Row) -> None:
        """See that nothing that must arrive before it is still to be sent."""
        for other in self.oracle.rows.values():
            if row.key is not None and (other.destination, other.key) == (row.destination, row.key):
                assert not (other.state is State.PENDING and comes_before(other, row)), "out of order"

    def _adopt(self, row: Row, found: Any, now: datetime) -> None:
        """Learn what the database's clock has written, and see that it could, and that nothing else has changed."""
        if row.created is None:
            assert row.since - _ROUNDING <= found.created_at <= now
            row.created = found.created_at
            self._see_its_place(row)
        if row.due is None:
            put_off = timedelta(seconds=row.delay)
            assert row.since + put_off - _ROUNDING <= found.due_at <= now + put_off + _ROUNDING
            row.due = found.due_at
        assert (row.created, row.due) == (found.created_at, found.due_at)
        assert (row.token is None) == (found.claim_token is None)
        if row.token is not None:
            self.bind(row.token, found.claim_token)

    def _see_its_place(self, row: Row) -> None:
        for other in self.oracle.rows.values():
            if other.created is not None and (other.destination, other.key) == (row.destination, row.key):
                assert not comes_before(other, row) or other.place < row.place
                assert not comes_before(row, other) or row.place < other.place


def _facts(row: Row) -> Facts:
    return Facts(
        row.name,
        row.destination,
        row.key,
        row.park,
        row.state.value,
        row.attempts,
        row.lost,
        row.held,
        row.expired,
        None if row.reason is None else row.reason.value,
        row.records,
        row.state is not State.PENDING,
    )
