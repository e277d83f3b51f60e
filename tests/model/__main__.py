"""`make model`: search everything, then take each guard away in turn and tell how its promise breaks."""

from __future__ import annotations

import sys

from model.scope import Guard
from model.scopes import LONG, SHORT, without
from model.search import search


def main() -> int:
    """Print the tables; 1 if a promise is broken, or a guard is not needed."""
    is_whole = _search_all()
    return 0 if _take_away_each() and is_whole else 1


def _search_all() -> bool:
    print(f"{'scope':30} {'states':>12} {'seconds':>8}")
    total, seconds, is_kept = 0, 0.0, True
    for scope in (*SHORT, *LONG):
        verdict = search(scope)
        print(f"{scope.name:30} {verdict.states:12,} {verdict.seconds:8.1f}  {verdict.wrong}", flush=True)
        for line in verdict.history:
            print(f"    {line}")
        total += verdict.states
        seconds += verdict.seconds
        is_kept = is_kept and not verdict.wrong
    print(f"{'all':30} {total:12,} {seconds:8.1f}")
    return is_kept


def _take_away_each() -> bool:
    is_needed = True
    for guard in Guard:
        verdict = search(without(guard))
        print(f"\nWithout this: {guard.value}.")
        print(f"Found after {verdict.states:,} states, {len(verdict.history)} steps from the start:")
        for line in (*verdict.history, f"=> {verdict.wrong or 'nothing is wrong'}"):
            print(f"    {line}")
        is_needed = is_needed and bool(verdict.wrong)
    return is_needed


if __name__ == "__main__":
    sys.exit(main())
