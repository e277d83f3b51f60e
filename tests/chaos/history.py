"""Everything that is known of one message, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.evidence import Evidence

_NEAR_SECONDS = 1.0


def history(evidence: Evidence, key: str) -> str:
    """Its enqueue, its commit, each reception, the faults meanwhile; its row and its log of attempts."""
    moments = sorted(_of_message(evidence, key))
    if not moments:
        return f"{key}: nothing is known of it"
    first, last = moments[0][0] - _NEAR_SECONDS, moments[-1][0] + _NEAR_SECONDS
    moments += [(each.began, _fault(each)) for each in evidence.faults if each.began <= last and each.ended >= first]
    lines = [f"{key}:", *(f"  {at - first:9.3f}  {what}" for at, what in sorted(moments))]
    lines += [f"  row: {evidence.rows.get(key)}"]
    lines += [f"  attempt: {each}" for each in evidence.attempts.get(key, ())]
    return "\n".join(lines)


def _of_message(evidence: Evidence, key: str) -> Iterator[tuple[float, str]]:
    for each in evidence.enqueued:
        if each.id == key:
            asked = f"dedup_key={each.dedup_key} ordering_key={each.ordering_key} park={each.park}"
            yield each.at, f"enqueued by producer {each.producer} as {each.marker}: {asked}"
            yield each.ended, f"transaction ended: {each.how}"
    for got in evidence.receptions:
        if got.key == key:
            yield (
                got.at,
                f"received from worker {got.worker}: {got.answer}, marker {got.marker}, bytes {got.digest[:12]}",
            )


def _fault(fault: object) -> str:
    return f"fault {fault}"
