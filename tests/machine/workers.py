"""What workers do: claim, settle, release, die, and stand still in between."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hypothesis import strategies as st
from sqlalchemy import Connection

from machine.base import DESTINATIONS, LATER, Base
from machine.moves import move
from oracle import Held, Plan, Row, Token
from outbox.message import Delivered, Failed, FailureReason, Message, Outcome, Retry
from outbox.store import Choice, Claimed, Position, Settlement, Succession
from outbox.store.claim import claim as claim_in
from support.rows import an_attempt
from support.stage import Stage

LEASE = 3600.0

_WORDS: dict[str, Outcome] = {
    "delivered": Delivered(200),
    "now": Retry(0.0, an_attempt()),
    "cut off": Retry(0.0, an_attempt(), charged=False),
    "later": Retry(LATER, an_attempt()),
    "failed": Failed(FailureReason.REJECTED, an_attempt()),
}
OUTCOMES = st.sampled_from(["delivered", "delivered", "delivered", "now", "cut off", "later", "failed", "failed"])
CHOICES = st.sampled_from([Choice.ANY, Choice.ANY, Choice.CALM, Choice.SUSPECT])
FREE = st.sampled_from([0, 0, 1, 2, 5])
NUMBERS = st.integers(0, 2)
PLACES = st.integers(0, 7)
"""Which of the messages that a worker holds, counted around."""
SENT = st.lists(st.tuples(PLACES, OUTCOMES), min_size=1, max_size=4)


class Group(NamedTuple):
    """What a settle writes."""

    outcomes: Sequence[Settlement]
    unsent: Sequence[Message]
    token: Token
    succession: Succession | None


@dataclass(eq=False)
class Worker:
    """What a worker knows."""

    hands: list[Message] = field(default_factory=list)
    reached: dict[str, Position] = field(default_factory=dict)
    reached_key: dict[str, str] = field(default_factory=dict)
    unanswered: Group | None = None
    """A settle whose COMMIT was not answered: it may have landed."""

    def pick(self, places: Sequence[int]) -> list[int]:
        """Give places of what it holds, counted around, each once."""
        return [*dict.fromkeys(place % len(self.hands) for place in places)] if self.hands else []


class OpenClaim(NamedTuple):
    """A worker that stands still in the middle of its claim."""

    worker: Worker
    connection: Connection
    plan: Plan
    messages: Sequence[Message]


class Workers(Base):
    """Three workers."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._workers = [Worker() for _ in range(3)]
        self._open_claims: list[OpenClaim] = []

    @move(
        3,
        number=NUMBERS,
        destination=DESTINATIONS,
        choice=CHOICES,
        limit=st.integers(1, 5),
        free=FREE,
        resume=st.booleans(),
        still=st.sampled_from([False, False, False, True]),
    )
    def claim(
        self, number: int, destination: str, choice: Choice, limit: int, free: int, *, resume: bool, still: bool
    ) -> None:
        """Claim messages without a key, from the start or from where an earlier claim has come to."""
        worker = self._worker(number)
        after = worker.reached.get(destination) if resume else None
        candidates = self.oracle.claimable(destination, choice, after)
        plan = self.oracle.claim(destination, choice, limit=limit, free=free, token=next(self.fresh), after=after)
        values: dict[str, Any] = {"limit": limit, "free": free, "lease": LEASE, "after": after}
        if still and self.stage.has_locks and not self._open_claims:
            claimed = self._open_claim(worker, plan, destination, choice, values)
        else:
            claimed = self.store.claim(destination, choice, **values)
            plan.commit()
            self._receive(worker, plan.token, claimed.messages)
        _compare(claimed, plan)
        self._compare_reached(claimed, plan, candidates, limit)
        if claimed.reached is not None:
            worker.reached[destination] = claimed.reached

    @move(1, commit=st.booleans())
    def end_claim(self, *, commit: bool) -> None:
        """Let a claim that stood still commit, or its worker die."""
        if not self._open_claims:
            return
        claim = self._open_claims.pop()
        with closing(claim.connection):
            (claim.connection.commit if commit else claim.connection.rollback)()
        self.oracle.locked.difference_update(row.id for row in claim.plan.looked)
        if commit:
            claim.plan.commit()
            self._receive(claim.worker, claim.plan.token, claim.messages)

    @move(
        3,
        number=NUMBERS,
        destination=DESTINATIONS,
        choice=CHOICES,
        limit=st.integers(1, 5),
        free=FREE,
        resume=st.booleans(),
    )
    def claim_heads(
        self, number: int, destination: str, choice: Choice, limit: int, free: int, *, resume: bool
    ) -> None:
        """Claim heads of keys, from the first key or from where an earlier claim has come to."""
        worker = self._worker(number)
        after = worker.reached_key.get(destination, "") if resume else ""
        claimed, reached = self.store.claim_heads(destination, choice, limit=limit, free=free, lease=LEASE, after=after)
        heads = self._heads(destination, choice, after, limit, reached)
        plan = self.oracle.claim_heads(heads, choice, free=free, token=next(self.fresh))
        plan.commit()
        _compare(claimed, plan)
        self._receive(worker, plan.token, claimed.messages)
        worker.reached_key[destination] = reached

    @move(
        8,
        number=NUMBERS,
        sent=SENT,
        unsent=st.lists(PLACES, max_size=2),
        goes_on=st.sampled_from([True, True, False]),
        answers=st.sampled_from(["at once", "at once", "at once", "when repeated", "later"]),
    )
    def settle(
        self, number: int, sent: list[tuple[int, str]], unsent: list[int], answers: str, *, goes_on: bool
    ) -> None:
        """Settle some of what a worker holds and give back some, whether or not its leases still run."""
        worker = self._busy(number)
        places = worker.pick([place for place, _ in sent])
        outcomes = [(worker.hands[place], _WORDS[word]) for place, (_, word) in zip(places, sent, strict=False)]
        rest = [worker.hands[place] for place in worker.pick(unsent) if place not in places]
        succession = self.store.succession(LEASE) if goes_on else None
        self._settle(worker, Group(outcomes, rest, next(self.fresh), succession), answered=answers == "at once")
        if answers == "when repeated":
            self.agree()
            self._worker(number)

    @move(2, number=NUMBERS, sent=SENT, goes_on=st.booleans())
    def oversleep(self, number: int, sent: list[tuple[int, str]], *, goes_on: bool) -> None:
        """Let a worker sleep through its leases; another takes over; then the first one settles after all."""
        worker = self._busy(number)
        self.end_leases([self.oracle.rows[each.id] for each in worker.hands if self.oracle.holds(self.held(each))])
        self.agree()
        self.claim_all((number + 1) % 3, Choice.ANY)
        if worker.hands:
            self.settle(number, sent, [], "at once", goes_on=goes_on)

    @move(2, number=NUMBERS)
    def crash(self, number: int) -> None:
        """Let a worker die with all that it holds and was about to say, and its leases end."""
        held = self._busy(number).hands
        self._workers[number] = Worker()
        self.end_leases([self.oracle.rows[each.id] for each in held if self.oracle.holds(self.held(each))])

    def end_claims(self) -> None:
        """Roll back what is open."""
        while self._open_claims:
            self.end_claim(commit=False)

    def _open_claim(
        self, worker: Worker, plan: Plan, destination: str, choice: Choice, values: dict[str, Any]
    ) -> Claimed:
        connection = self.stage.rival()
        connection.begin()
        claimed = claim_in(connection, destination, choice, **values)
        self._open_claims.append(OpenClaim(worker, connection, plan, claimed.messages))
        self.oracle.locked.update(row.id for row in plan.looked)
        return claimed

    def _heads(self, destination: str, choice: Choice, after: str, limit: int, reached: str) -> Sequence[Row]:
        """Give the heads that a look finds. Among suspects it may find any."""
        if choice is not Choice.SUSPECT:
            found = self.oracle.look(destination, choice, after=after, limit=limit)
            assert reached == found.reached
            return found.rows
        suspects = self.oracle.suspect_heads(destination)
        assert reached in suspects or (reached == "" and not suspects)
        return [suspects[reached]] if suspects else []

    def _busy(self, number: int) -> Worker:
        """Give a worker that holds messages, if there are any to be had: most runs would settle nothing else."""
        worker = self._worker(number)
        for choice in (Choice.ANY, Choice.SUSPECT):
            if not worker.hands:
                self.claim_all(number, choice)
        return worker

    def claim_all(self, number: int, choice: Choice, destination: str = "overcentric") -> None:
        """Let a worker claim heads, then others."""
        self.claim_heads(number, destination, choice, 5, 5, resume=False)
        self.agree()
        self.claim(number, destination, choice, 5, 5, resume=False, still=False)
        self.agree()

    def _worker(self, number: int) -> Worker:
        """Give a worker; one whose last settle was not answered repeats that first."""
        worker = self._workers[number]
        if worker.unanswered is not None:
            self._settle(worker, worker.unanswered, answered=True)
            self.agree()
        return worker

    def _settle(self, worker: Worker, group: Group, *, answered: bool) -> None:
        settled = self.store.settle(group.outcomes, group.unsent, group.succession)
        told = self.oracle.settle(
            [(self.held(each), outcome) for each, outcome in group.outcomes],
            [self.held(each) for each in group.unsent],
            None if group.succession is None else group.token,
        )
        assert self._helds(settled.lost) == told.lost
        assert self._helds(settled.locked) == told.locked
        assert sorted(each.id for each in settled.successors) == sorted(told.successors)
        locked = [each for each, _ in settled.locked]
        for each in (*(each for each, _ in group.outcomes), *group.unsent):
            if each not in locked and not self._is_locked_release(each):
                self.over(each.id, each.claim.token)
        worker.unanswered = None if answered else group
        if answered:
            done = [each for each, _ in group.outcomes if each not in locked] + [*group.unsent]
            worker.hands = [each for each in worker.hands if each not in done]
            self._receive(worker, group.token, settled.successors)

    def _is_locked_release(self, message: Message) -> bool:
        """Whether giving it back had to pass over it, so that it stays claimed until its lease ends."""
        return message.id in self.oracle.locked and self.oracle.rows[message.id].held

    def _helds(self, settlements: Sequence[Settlement]) -> set[Held]:
        return {self.held(each) for each, _ in settlements}

    def _receive(self, worker: Worker, token: Token, messages: Sequence[Message]) -> None:
        for each in messages:
            self.bind(token, each.claim.token)
        self.received(messages)
        worker.hands += messages

    def _compare_reached(self, claimed: Claimed, plan: Plan, candidates: Sequence[Row], limit: int) -> None:
        """Compare where a claim has come to; MariaDB's may lie further on, behind rows that others have locked."""
        expected = None if plan.reached is None else (plan.reached.due, plan.reached.id)
        reached = None if claimed.reached is None else (claimed.reached.due_at, str(claimed.reached.id))
        if self.stage.kind == "mariadb" and self.oracle.locked:
            skipped = [row for row in candidates if row not in plan.looked and reached and (row.due, row.id) <= reached]
            assert not skipped
            assert claimed.more or len(candidates) == len(plan.looked)
        else:
            assert reached == expected
            assert claimed.more == (len(plan.looked) == limit)


def _compare(claimed: Claimed, plan: Plan) -> None:
    assert [each.id for each in claimed.messages] == [row.id for row in plan.taken]
    assert claimed.suspects == plan.suspects
    assert claimed.left == (plan.left is not None)
