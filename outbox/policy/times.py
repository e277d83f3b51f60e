"""When each attempt at a message comes, as a policy has it: the earliest and the latest, seen beforehand."""

from __future__ import annotations

from typing import NamedTuple

from outbox.policy.schedule import Jittered, Policy, after, bounded

MOST = 1000
"""Attempts that are looked at: a policy need not ever give up."""

DRAWS = 1000
"""Waits that are drawn where chance has a say."""

_ALIKE = 20
"""So many draws that are all the same make a wait that is no matter of chance."""


class Moment(NamedTuple):
    """An attempt, and when it begins: seconds after the message was first due."""

    attempt: int
    earliest: float
    latest: float


class Times(NamedTuple):
    """The attempts at one message that never succeeds, leaving out how long each takes, and pauses."""

    attempts: list[Moment]
    ends: bool
    """Whether the last one is the last: a policy may go on for ever."""


def times(policy: Policy) -> Times:
    """Look at all attempts that a policy allows, at most `MOST`. A random wait is drawn: its ends are those seen."""
    moments = [Moment(1, 0.0, 0.0)]
    while not policy.is_last(len(moments)):
        if len(moments) == MOST:
            return Times(moments, ends=False)
        made, earliest, latest = moments[-1]
        shortest, longest = _wait(policy, made)
        moments.append(Moment(made + 1, earliest + shortest, latest + longest))
    return Times(moments, ends=True)


def _wait(policy: Policy, made: int) -> tuple[float, float]:
    """The shortest and the longest wait after the attempt with this number."""
    wait, share = (policy.wait.wait, policy.wait.share) if isinstance(policy.wait, Jittered) else (policy.wait, 0.0)
    state = after(made)
    draws = [wait(state) for _ in range(_ALIKE)]
    if min(draws) != max(draws):
        draws += [wait(state) for _ in range(DRAWS)]
    return bounded(min(draws) * (1 - share)), bounded(max(draws) * (1 + share))
