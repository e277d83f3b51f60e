"""The table with some answers read otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from outbox.message import Certainty
from outbox.policy.verdict import Action, Rule, Verdict, verdicts
from outbox.settings import Meaning

_WHY = "as OUTBOX_ANSWERS has it"


def changed(table: Sequence[Rule], meanings: Sequence[Meaning]) -> tuple[Rule, ...]:
    """Put the meanings before a table.

    What a status tells of the event stays as it is: a 503 that is not to be sent again may still have been processed.
    """
    known = verdicts(table)
    return (*(rule for meaning in meanings for rule in _rules(meaning, known)), *table)


def _rules(meaning: Meaning, known: dict[int | None, Verdict]) -> list[Rule]:
    """One rule for each certainty among its statuses."""

    def certainty(status: int) -> Certainty:
        return (known[status].certainty if status in known else None) or Certainty.UNKNOWN

    runs = groupby(range(meaning.first, meaning.last + 1), certainty)
    ranges = [(certain, [*statuses]) for certain, statuses in runs]
    return [Rule((range(run[0], run[-1] + 1),), _verdict(meaning.word, certain), _WHY) for certain, run in ranges]


def _verdict(word: str, certainty: Certainty) -> Verdict:
    if word == "delivered":
        return Verdict(Action.DELIVERED, None)
    if word == "refused":
        return Verdict(Action.RETRY, certainty, destination=True)
    return Verdict(Action(word), certainty)
