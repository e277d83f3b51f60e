"""Whether the promise held: what was committed and rolled back, against what arrived and what the tables say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from chaos.case import Case, Violation
from chaos.destination import Reception
from chaos.evidence import Evidence
from chaos.order import out_of_order
from chaos.plan import Kind

MOST_ON_AVERAGE = 2.0
"""Duplicates for each worker that a fault struck, on average."""

ENOUGH_FOR_AN_AVERAGE = 100
"""Workers struck; of fewer an average says little."""

KEPT_PACE = 0.1
"""The share of the time in which producers may rest. On a slower machine each kill meets a worker that has all hands full."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The count."""

    violations: list[Violation]
    duplicates: Counter[Kind]
    """Receptions of what had been accepted before, by the fault that caused them."""
    worst: dict[Kind, int]
    """Most duplicates that one fault caused at one worker."""
    resent: int
    """Receptions after an answer that was none or no success."""
    unexplained: list[str]
    """Errors that producers saw and that no fault explains."""


def judge(evidence: Evidence) -> Verdict:
    """Compare everything with everything."""
    case = Case(evidence)
    violations = [each for check in _CHECKS for each in check(case)]
    causes = case.causes
    for reception, cause in _repeats(case):
        if cause is None:
            detail = f"received again at {reception.at:.3f} by worker {reception.worker}, with no cause"
            violations.append(Violation("duplicate without a cause", reception.key, detail))
    violations += _too_many(case)
    unexplained = [str(each.text) for each in evidence.troubles if not causes.explain(each)]
    return Verdict(violations, causes.duplicates(), causes.worst(), causes.resent, unexplained)


def _repeats(case: Case) -> Iterator[tuple[Reception, str | None]]:
    """Every reception of a message after its first, and what caused it."""
    for received in case.arrived.values():
        for before, again in pairwise(received):
            yield again, case.causes.of(before, again)


def _lost(case: Case) -> Iterator[Violation]:
    for each in case.evidence.enqueued:
        if not each.committed:
            continue
        row = case.evidence.rows.get(each.id)
        if row is None:
            yield Violation("lost", each.id, "committed, and there is no row")
        elif row.state == "pending":
            yield Violation("still pending", each.id, "when the time to become clean was over")
        elif row.state == "failed" and not row.failure_reason:
            yield Violation("failed without a reason", each.id, "")
        elif row.state == "delivered" and not case.is_accepted(each.id):
            yield Violation("lost", each.id, "marked delivered, and the destination never accepted it")


def _sent_after_rollback(case: Case) -> Iterator[Violation]:
    for each in case.evidence.enqueued:
        if not each.committed and each.id in case.arrived:
            yield Violation("sent after rollback", each.id, each.how)
        if not each.committed and each.id in case.evidence.rows:
            yield Violation("there after rollback", each.id, each.how)


def _never_enqueued(case: Case) -> Iterator[Violation]:
    for key in {*case.arrived, *case.evidence.rows} - case.enqueued.keys():
        yield Violation("never enqueued", key, "received, or in the table, and unknown to the producers")


def _altered(case: Case) -> Iterator[Violation]:
    keys: dict[str, str] = {}
    for key, received in case.arrived.items():
        if len({each.digest for each in received}) > 1:
            yield Violation("other bytes", key, "received twice with different bodies")
        ours = case.enqueued.get(key)
        if ours and {each.marker for each in received} != {ours.marker}:
            yield Violation("other bytes", key, "received with another message's body")
        for each in {each.digest for each in received}:
            if keys.setdefault(each, key) != key:
                yield Violation("other key", key, f"the same bytes came as {keys[each]}")


def _parked_twice(case: Case) -> Iterator[Violation]:
    """What asked to be parked in doubt is sent again only after an answer that leaves none."""
    for each in case.evidence.enqueued:
        for before in case.arrived.get(each.id, ())[:-1] if each.park else ():
            if before.answer != "429":
                yield Violation("parked in doubt, and sent again", each.id, f"after {before.answer}")


def _failed_for_nothing(case: Case) -> Iterator[Violation]:
    """A message that is failed has met what its reason says."""
    for key, row in case.evidence.rows.items():
        ours = case.enqueued.get(key)
        refused = any(each.answer == "422" for each in case.arrived.get(key, ()))
        if row.failure_reason == "rejected" and not refused:
            yield Violation("failed as rejected", key, "and the destination never refused it")
        if row.failure_reason == "unknown" and ours is not None and not ours.park:
            yield Violation("failed as unknown", key, "and it had not asked to be parked")
        if row.state == "delivered" and refused:
            yield Violation("marked delivered", key, "and the destination refused it")


def _too_many(case: Case) -> Iterator[Violation]:
    """Of one crash: fewer than four times what may be in flight (docs/promise.md)."""
    bound = 4 * case.evidence.concurrency
    for kind, worst in case.causes.worst().items():
        if worst >= bound:
            yield Violation("too many duplicates", None, f"{worst} by one {kind} of one worker; the bound is {bound}")
    struck, made = case.causes.struck(), sum(case.causes.duplicates().values())
    is_telling = struck >= ENOUGH_FOR_AN_AVERAGE and case.evidence.rested <= KEPT_PACE
    if is_telling and made / struck > MOST_ON_AVERAGE:
        yield Violation("too many duplicates", None, f"{made / struck:.2f} a fault on average")


def _accidents(case: Case) -> Iterator[Violation]:
    for each in case.evidence.accidents:
        yield Violation("ended as it should not", None, each)


_CHECKS: tuple[Callable[[Case], Iterator[Violation]], ...] = (
    _lost,
    _sent_after_rollback,
    _never_enqueued,
    _altered,
    _parked_twice,
    _failed_for_nothing,
    out_of_order,
    _accidents,
)
