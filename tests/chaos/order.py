"""Whether messages that share an ordering key arrived in their order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from chaos.case import Case, Violation
from chaos.ledger import Enqueued


def out_of_order(case: Case) -> Iterator[Violation]:
    """Of two messages with a key, where the first was committed before the second was enqueued, the first arrives first.

    So do those of one transaction, in the order of the calls. A head that waits for its next attempt keeps its place:
    what comes behind it is not sent before it has been accepted, or has failed.
    """
    by_key: dict[str, list[Enqueued]] = defaultdict(list)
    for each in case.evidence.enqueued:
        if each.committed and each.ordering_key is not None:
            by_key[each.ordering_key].append(each)
    for sharing in by_key.values():
        yield from _between_transactions(case, sharing)
        yield from _within_transactions(case, sharing)


def _between_transactions(case: Case, sharing: list[Enqueued]) -> Iterator[Violation]:
    latest: tuple[int, str] = (-1, "")
    """The latest of those that were committed before the one that is looked at was enqueued."""
    committed = iter(sorted(sharing, key=lambda each: each.ended))
    before = next(committed, None)
    for each in sorted(sharing, key=lambda each: each.at):
        while before is not None and before.ended < each.at:
            latest = max(latest, (_done(case, before.id), before.id))
            before = next(committed, None)
        if _begun(case, each.id) < latest[0]:
            yield Violation("out of order", each.id, f"came before {latest[1]}, which was committed before it")


def _within_transactions(case: Case, sharing: list[Enqueued]) -> Iterator[Violation]:
    previous: dict[str, str] = {}
    for each in sharing:
        transaction = each.marker.rpartition("-")[0]
        before = previous.get(transaction)
        if before is not None and _begun(case, each.id) < _done(case, before):
            yield Violation("out of order", each.id, f"came before {before}, which its transaction wrote before it")
        previous[transaction] = each.id


def _begun(case: Case, key: str) -> int:
    """The place of its first reception; behind all others where there is none."""
    return case.first.get(key, len(case.evidence.receptions))


def _done(case: Case, key: str) -> int:
    """The place where it was accepted. One that failed has been done with somewhere behind its first reception, if any."""
    if key not in case.accepted and case.is_failed(key):
        return case.first.get(key, -1)
    return case.accepted.get(key, len(case.evidence.receptions))
