"""`python -m chaos --database postgresql --minutes 12 --seed 1`: run a campaign, print its table, exit 1 on a violation."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from chaos.campaign import Result, run
from chaos.history import history
from chaos.plan import Kind, Plan
from chaos.table import table
from chaos.verdict import Verdict, judge
from support.databases import KINDS

_MEMORY = "/dev/shm"  # noqa: S108 - mkdtemp makes it private
"""Processes are killed, not machines: what SQLite syncs need not reach a disk."""

_TOLD = 5
"""Violations that are told in full."""


def main() -> int:
    """Run it."""
    asked = _arguments()
    counts = {kind: count for kind in Kind if (count := getattr(asked, kind)) is not None}
    plan = Plan.lasting(asked.database, asked.minutes, asked.seed, events=asked.events, counts=counts)
    folder = Path(tempfile.mkdtemp(prefix="outbox-chaos-", dir=_MEMORY if Path(_MEMORY).is_dir() else None))
    print(f"chaos: {plan.kind}, {asked.minutes:g} minutes, seed {plan.seed}", flush=True)
    result = run(plan, folder)
    verdict = judge(result.evidence)
    print(table(result, verdict))
    if not verdict.violations:
        shutil.rmtree(folder)
        return 0
    _tell(result, verdict)
    print(
        f"The logs are in {folder}. The same again: make chaos DATABASE={plan.kind} MINUTES={asked.minutes:g} SEED={plan.seed}"
    )
    return 1


def _tell(result: Result, verdict: Verdict) -> None:
    for each in verdict.violations[:_TOLD]:
        print(f"\n{each.what}: {each.id or ''} {each.detail}")
        if each.id is not None:
            print(history(result.evidence, each.id))
    for text in verdict.unexplained[:_TOLD]:
        print(f"\nan error that no fault explains: {text}")
    if len(verdict.violations) > _TOLD:
        print(f"\n... and {len(verdict.violations) - _TOLD} more violations")


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos")
    parser.add_argument("--database", choices=KINDS, default="postgresql")
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--events", type=int, help="events to commit (default: in proportion to the minutes)")
    for kind in Kind:
        parser.add_argument(f"--{kind}", type=int, metavar="COUNT", help=f"faults of the kind {kind} (likewise)")
    return parser.parse_args(given)


if __name__ == "__main__":
    sys.exit(main())
