"""Whether the promise held: what was committed and rolled back, against what arrived."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from outbox.message import State
from outbox.testing import Action, Received

_NAMED = 3
"""Ids that a sentence names; more of them help nobody."""


class Arrival(NamedTuple):
    """One POST, as the destination saw it."""

    key: str | None
    """Its `Idempotency-Key`."""
    body: bytes
    accepted: bool
    """Answered with a 2xx, whether or not anybody was still there to read it."""
    taken: bool
    """Processed: accepted, or read whole and then cut off without an answer."""

    @classmethod
    def of(cls, received: Received) -> Arrival:
        """Read one line of the destination's record."""
        taken = received.accepted or received.answer == Action.RESET
        return cls(received.key, received.body, received.accepted, taken)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The count. `troubles` has a sentence for everything that breaks the promise, and is empty if it held."""

    committed: int
    delivered: int
    """Committed, accepted by the destination, and marked so."""
    rolled_back: int
    sent_after_rollback: int
    lost: int
    """Committed, never accepted, and nowhere recorded as failed."""
    failed: int
    """Given up, with the reason recorded: not lost."""
    duplicates: int
    """POSTs of an event that the destination had already processed."""
    altered: int
    """Events that arrived with other bytes, or under another key, than before."""
    troubles: tuple[str, ...]

    @property
    def held(self) -> bool:
        """Whether the promise held."""
        return not self.troubles


def judge(
    committed: Collection[str], rolled_back: Collection[str], received: Iterable[Arrival], states: Mapping[str, str]
) -> Verdict:
    """Compare the ids of the application's committed events, and of those that it rolled back, with what arrived.

    `states` is what the outbox's own table says of each message. It can confirm a delivery or a failure, but never
    replace an arrival: a message that is marked delivered and did not arrive is lost.
    """
    arrivals = list(received)
    wanted, unwanted = set(committed), set(rolled_back)
    seen = _keys(arrivals)
    accepted = _keys(each for each in arrivals if each.accepted) & wanted
    failed = {key for key in wanted - accepted if states.get(key) == State.FAILED}
    changed = _shared(arrivals, by=lambda each: each.key)
    renamed = _shared(arrivals, by=lambda each: each.body)
    found: dict[str, set[str]] = {
        "arrived although rolled back": seen & unwanted,
        "committed, but never accepted by the destination": wanted - accepted - failed,
        "arrived, but not marked delivered": {key for key in accepted if states.get(key) != State.DELIVERED},
        "arrived, but never enqueued by the application": seen - wanted - unwanted,
        "arrived under one key with different bytes": changed,
        "arrived under several keys with the same bytes": renamed,
    }
    troubles = [_sentence(what, ids) for what, ids in found.items() if ids]
    if any(each.key is None for each in arrivals):
        troubles.append("POSTs without an Idempotency-Key arrived")
    return Verdict(
        committed=len(wanted),
        delivered=sum(states.get(key) == State.DELIVERED for key in accepted),
        rolled_back=len(unwanted),
        sent_after_rollback=len(seen & unwanted),
        lost=len(wanted - accepted - failed),
        failed=len(failed),
        duplicates=_repeats(arrivals),
        altered=len(changed | renamed),
        troubles=tuple(troubles),
    )


def _keys(arrivals: Iterable[Arrival]) -> set[str]:
    return {each.key for each in arrivals if each.key is not None}


def _shared(arrivals: Iterable[Arrival], *, by: Callable[[Arrival], object]) -> set[str]:
    """Keys of the arrivals that agree in one thing (key or bytes) and differ in the other."""
    groups: defaultdict[object, set[tuple[str, bytes]]] = defaultdict(set)
    for each in arrivals:
        if each.key is not None:
            groups[by(each)].add((each.key, each.body))
    return {key for group in groups.values() if len(group) > 1 for key, _ in group}


def _repeats(arrivals: Iterable[Arrival]) -> int:
    taken: set[str | None] = set()
    repeats = 0
    for each in arrivals:
        repeats += each.taken and each.key in taken
        if each.taken:
            taken.add(each.key)
    return repeats


def _sentence(what: str, ids: set[str]) -> str:
    more = ", ..." if len(ids) > _NAMED else ""
    return f"{len(ids)} {what}: {', '.join(sorted(ids)[:_NAMED])}{more}"
