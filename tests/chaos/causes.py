"""Why a message came again: the answer before was no success, or a fault came between the POST and its settle."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from chaos.destination import Reception
from chaos.faults.scene import Fault
from chaos.ledger import Trouble
from chaos.plan import CUTTING, LEASE_SECONDS, Kind

_READING_SECONDS = 1.0
"""How long after a fault a POST may be noted that had begun before: in the destination's socket, or as a try that goes on."""
_NOTICING_SECONDS = 2.0
"""How long a producer may take to notice a fault that is over."""


class Causes:
    """Looks for the fault behind a reception, and counts."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.resent = 0
        self._faults = [each for each in faults if each.kind in CUTTING]
        self._by_worker: dict[int, list[Fault]] = defaultdict(list)
        for each in sorted(self._faults, key=lambda fault: (fault.kind != Kind.KILL, fault.began)):
            for worker in each.workers:
                self._by_worker[worker].append(each)
        self._counts: Counter[tuple[Fault, int]] = Counter()

    def of(self, before: Reception, again: Reception) -> str | None:
        """Why it came again: the answer, or a fault of either worker. None: for no reason."""
        if not before.accepted:
            self.resent += 1
            return before.answer
        # A settle that nothing hinders is written long before the lease ends.
        latest = min(again.at, before.at + LEASE_SECONDS)
        for fault in self._by_worker[before.worker]:
            if fault.began <= latest and fault.ended >= before.at - _READING_SECONDS:
                return self._count(fault, before.worker)
        # Frozen in the middle of its POST, it had lost the message to another before the rest of the POST left.
        for fault in self._by_worker[again.worker]:
            has_outlived = fault.kind == Kind.FREEZE and fault.began <= before.at
            if has_outlived and fault.began <= again.at <= fault.ended + _READING_SECONDS:
                return self._count(fault, again.worker)
        return None

    def _count(self, fault: Fault, worker: int) -> Kind:
        self._counts[fault, worker] += 1
        return fault.kind

    def duplicates(self) -> Counter[Kind]:
        """Receptions of what had been accepted before, by the kind of fault."""
        found: Counter[Kind] = Counter()
        for (fault, _), count in self._counts.items():
            found[fault.kind] += count
        return found

    def worst(self) -> dict[Kind, int]:
        """Most duplicates of one fault at one worker, by kind."""
        found: dict[Kind, int] = {}
        for (fault, _), count in self._counts.items():
            found[fault.kind] = max(found.get(fault.kind, 0), count)
        return found

    def struck(self) -> int:
        """How many times a fault has struck a worker."""
        return sum(len(each.workers) for each in self._faults)

    def explain(self, trouble: Trouble) -> bool:
        """Whether a fault explains an error that a producer saw."""
        for fault in self._faults:
            is_near = fault.began <= trouble.ended and fault.ended >= trouble.at - _NOTICING_SECONDS
            if is_near and trouble.kind == "connection" and trouble.producer in fault.producers:
                return True
            if is_near and trouble.kind == "lock":
                return True
        return False
