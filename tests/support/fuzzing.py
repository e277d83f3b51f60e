"""How long a search of random answers goes on: some hundreds of examples in a test run, FUZZ_ANSWERS of them in all else."""

from __future__ import annotations

import os

FUZZ_ANSWERS = int(os.environ.get("FUZZ_ANSWERS", "0"))
"""Examples of each search in its long form; 0 for the short form."""

ROUND = 20_000
"""Hypothesis remembers what it has tried: a search of a million begins anew now and then."""


def rounds(short: int, share: float = 1.0) -> list[int]:
    """How many examples each round of a search tries: one round of `short`, or the long form's share."""
    examples = int(FUZZ_ANSWERS * share)
    whole, rest = divmod(examples, ROUND)
    return [ROUND] * whole + [rest] * bool(rest) or [short]
