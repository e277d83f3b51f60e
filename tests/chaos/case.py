"""The evidence, arranged for the judge."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from chaos.causes import Causes
from chaos.destination import Reception
from chaos.evidence import Evidence
from chaos.ledger import Enqueued


class Violation(NamedTuple):
    """One way in which the promise did not hold."""

    what: str
    id: str | None
    detail: str


class Case:
    """The evidence, arranged by message."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.causes = Causes(evidence.faults)
        self.enqueued: dict[str, Enqueued] = {each.id: each for each in evidence.enqueued}
        self.arrived: dict[str, list[Reception]] = defaultdict(list)
        self.first: dict[str, int] = {}
        """The place of each message's first reception in the order of arrival."""
        self.accepted: dict[str, int] = {}
        """The place of the first reception that was accepted."""
        for place, each in enumerate(evidence.receptions):
            self.arrived[each.key].append(each)
            self.first.setdefault(each.key, place)
            if each.accepted:
                self.accepted.setdefault(each.key, place)

    def is_failed(self, key: str) -> bool:
        """Whether it is given up."""
        row = self.evidence.rows.get(key)
        return row is not None and row.state == "failed"

    def is_accepted(self, key: str) -> bool:
        """Whether the destination said that it had processed it."""
        return key in self.accepted
