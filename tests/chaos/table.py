"""The one table at a campaign's end."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator

import sqlalchemy

from chaos.campaign import Result
from chaos.plan import CUTTING, Kind
from chaos.verdict import KEPT_PACE, Verdict
from outbox._version import __version__

_WIDTH = 26


def table(result: Result, verdict: Verdict) -> str:
    """Every figure of a campaign."""
    plan = result.plan
    lines = [f"{name:<{_WIDTH}}{value}" for name, value in _figures(result, verdict)]
    faults = [*_faults(result, verdict)]
    title = f"chaos: {plan.kind}, seed {plan.seed}, {result.seconds:.0f} s"
    return "\n".join([title, "-" * 78, *faults, "-" * 78, *lines])


def _faults(result: Result, verdict: Verdict) -> Iterator[str]:
    counts = Counter(each.kind for each in result.evidence.faults)
    struck: Counter[Kind] = Counter()
    for each in result.evidence.faults:
        struck[each.kind] += len(each.workers)
    yield f"{'fault':<{_WIDTH}}{'done':>6}{'planned':>9}{'workers':>9}{'duplicates':>12}{'a worker':>10}{'worst':>6}"
    for kind in Kind:
        if kind in result.skipped:
            yield f"{kind:<{_WIDTH}}  none: {result.skipped[kind]}"
            continue
        line = f"{kind:<{_WIDTH}}{counts[kind]:>6}{result.plan.counts.get(kind, 0):>9}{struck[kind]:>9}"
        if kind in CUTTING:
            share = verdict.duplicates[kind] / max(1, struck[kind])
            line += f"{verdict.duplicates[kind]:>12}{share:>10.2f}{verdict.worst.get(kind, 0):>6}"
        yield line


def _figures(result: Result, verdict: Verdict) -> Iterator[tuple[str, object]]:
    evidence = result.evidence
    committed = sum(each.committed for each in evidence.enqueued)
    how = Counter(each.how for each in evidence.enqueued)
    states = Counter(row.failure_reason or row.state for row in evidence.rows.values())
    found = Counter(each.what for each in verdict.violations)
    yield "events committed", committed
    yield "events rolled back", f"{len(evidence.enqueued) - committed} ({how['savepoint']} with a savepoint)"
    yield "COMMIT in doubt", f"{how['landed']} had landed, {how['not landed']} had not"
    yield "with an ordering key", sum(each.committed and each.ordering_key is not None for each in evidence.enqueued)
    yield "received", f"{len(evidence.receptions)} ({_counted(Counter(each.answer for each in evidence.receptions))})"
    yield "sent again after no 200", verdict.resent
    yield "duplicates", sum(verdict.duplicates.values())
    slow = ": too slow a machine to judge the average of duplicates" if evidence.rested > KEPT_PACE else ""
    yield "producers rested", f"{evidence.rested:.0%} of the time{slow}"
    yield "messages", _counted(states)
    yield "lost", found["lost"] + found["still pending"]
    yield "sent after rollback", found["sent after rollback"]
    yield "order violations", found["out of order"]
    yield "errors at producers", f"{len(evidence.troubles)}, {len(verdict.unexplained)} of them by no fault"
    yield "seconds to clean", f"{result.seconds_to_clean:.1f} ({result.backlog} messages were pending)"
    yield (
        "versions",
        ", ".join(
            [
                f"outbox {__version__}",
                result.server,
                f"SQLAlchemy {sqlalchemy.__version__}",
                f"Python {platform.python_version()}",
            ]
        ),
    )
    yield "violations", len(verdict.violations)


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())
