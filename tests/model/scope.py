"""A scope of the search: which messages, how many workers, which faults; and the guards that can be taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from model.rows import State


class Fault(IntEnum):
    """What can go wrong. A scope gives each a budget of 0 to 3 for a whole run."""

    CRASH = 0
    """A worker dies, and another is started."""
    FREEZE = 1
    """A worker stops for any length of time, then goes on."""
    DOUBT = 2
    """A POST ends without an answer, or with a 5xx."""
    REFUSAL = 3
    """An answer that refuses for now: 429."""
    REJECTION = 4
    """An answer that refuses for good: 400."""
    AMBIGUOUS = 5
    """A COMMIT lands, and the worker is told that it failed."""
    RESTART = 6
    """The database restarts: every open transaction is rolled back."""
    LOCK = 7
    """Somebody who is no worker locks a row for a while."""
    STOP = 8
    """A worker gives back what it has not begun."""
    RETRY = 9
    """An operator sends a failed message again."""
    ROLLBACK = 10
    """A producer's transaction rolls back."""


class Guard(Enum):
    """A mechanism of the protocol. Without any one of them a promise breaks."""

    SETTLE_FENCE = "a settle is fenced by the claim's token"
    RELEASE_FENCE = "a release is fenced by the claim's token"
    SETTLE_ONCE = "a settle that landed is not written again"
    TOKEN_STAYS = "the token stays on settled rows"
    ROW_COUNT = "a row that could not be written is settled later"
    LOST_COUNT = "expired claims are counted"
    SUSPECTS_ALONE = "suspects are claimed alone"
    LEASED_ROWS = "a leased row is not claimed"
    EXPIRED_ROWS = "an expired claim is claimable"
    ROW_LOCKS = "a claim locks its rows"
    DUE = "only what is due is claimed"
    COMMITTED_ROWS = "uncommitted rows are invisible"
    COMMIT_FIRST = "nothing is sent before its claim has committed"
    LEASE_MARGIN = "no POST begins with too little lease left"
    RELEASE = "what is too late to send is given back"
    UNCHARGED = "a release charges nothing"
    PARK_FREE_SENDER = "what is to be parked is claimed for a free sender only"
    PARK_EXPIRED = "what is to be parked is failed when its claim expires"
    SWEEP = "the scan is swept from the start now and then"
    RETRY_FAILED = "an operator's retry changes failed messages only"
    HEAD = "only the head of a key is claimed"
    HELD_HEAD = "a head in flight keeps its key"
    LATER_HEAD = "a head to be sent later keeps its key"
    SUCCESSOR = "the successor is the smallest pending of the key"
    ONE_SUCCESSOR = "two of a key that end in one settle have one successor"
    BLOCK = "a failed message blocks its key, where that is asked for"


@dataclass(frozen=True, slots=True)
class Kind:
    """A message of the scope."""

    key: str = ""
    park: bool = False
    poison: bool = False
    """It kills the worker that sends it."""
    start: State = State.PENDING


@dataclass(frozen=True, eq=False)
class Scope:
    """What is searched."""

    name: str
    messages: tuple[Kind, ...]
    faults: Mapping[Fault, int] = field(default_factory=dict)
    workers: int = 2
    senders: int = 1
    limit: int = 2
    """Messages that a worker holds ready."""
    watermark: bool = False
    """Whether scans go on from the last claimed. Without, each claim is a sweep."""
    block: bool = False
    """What stands behind a failed head: `block` instead of `pass`."""
    without: frozenset[Guard] = frozenset()

    def has(self, guard: Guard) -> bool:
        """Whether the guard is in force."""
        return guard not in self.without

    def allows(self, fault: Fault) -> bool:
        """Whether that can go wrong at all."""
        return bool(self.faults.get(fault))

    def claims_can_expire(self) -> int:
        """Claims that can expire in a run, other than by poison."""
        causes = (Fault.CRASH, Fault.FREEZE, Fault.AMBIGUOUS, Fault.LOCK)
        return sum(self.faults.get(fault, 0) for fault in causes)
