"""What is searched: the short form in `make test`, the long form in `make model`, and a scope for each guard."""

from __future__ import annotations

from dataclasses import replace

from model.rows import State
from model.scope import Fault, Guard, Kind, Scope

_PLAIN = Kind()
_LATE = Kind(start=State.OPEN)
_PARK = Kind(park=True)
_POISON = Kind(poison=True)
_KEYED = Kind(key="k", start=State.ABSENT)

_ONE_OF_EACH_ANSWER = {Fault.DOUBT: 1, Fault.REFUSAL: 1, Fault.REJECTION: 1}
_DATABASE = {Fault.AMBIGUOUS: 1, Fault.RESTART: 1, Fault.LOCK: 1}

GUARDS = {
    Guard.SETTLE_FENCE: Scope("", (_PLAIN,), {Fault.FREEZE: 1, Fault.DOUBT: 1}),
    Guard.RELEASE_FENCE: Scope("", (_PLAIN,), {Fault.FREEZE: 1}),
    Guard.SETTLE_ONCE: Scope("", (_PLAIN,), {Fault.AMBIGUOUS: 1, Fault.REFUSAL: 1}),
    Guard.TOKEN_STAYS: Scope("", (_PLAIN,), {Fault.AMBIGUOUS: 1}),
    Guard.ROW_COUNT: Scope("", (_PLAIN,), {Fault.LOCK: 1}),
    Guard.LOST_COUNT: Scope("", (_PLAIN, _POISON)),
    Guard.SUSPECTS_ALONE: Scope("", (_POISON, _PLAIN)),
    Guard.LEASED_ROWS: Scope("", (_PLAIN,)),
    Guard.EXPIRED_ROWS: Scope("", (_PLAIN,), {Fault.CRASH: 1}),
    Guard.ROW_LOCKS: Scope("", (_PLAIN,)),
    Guard.DUE: Scope("", (_PLAIN,), {Fault.REFUSAL: 1}),
    Guard.COMMITTED_ROWS: Scope("", (_LATE,), {Fault.ROLLBACK: 1}),
    Guard.COMMIT_FIRST: Scope("", (_PLAIN,), {Fault.RESTART: 1}),
    Guard.LEASE_MARGIN: Scope("", (_PLAIN,)),
    Guard.RELEASE: Scope("", (_PLAIN,)),
    Guard.UNCHARGED: Scope("", (_PLAIN,)),
    Guard.PARK_FREE_SENDER: Scope("", (_POISON, _PARK)),
    Guard.PARK_EXPIRED: Scope("", (_PARK,), {Fault.CRASH: 1}),
    Guard.SWEEP: Scope("", (_LATE, _LATE), watermark=True),
    Guard.RETRY_FAILED: Scope("", (_PLAIN,), {Fault.RETRY: 1}),
    Guard.HEAD: Scope("", (_KEYED, _KEYED)),
    Guard.HELD_HEAD: Scope("", (_KEYED, _KEYED)),
    Guard.LATER_HEAD: Scope("", (_KEYED, _KEYED), {Fault.REFUSAL: 1}),
    Guard.SUCCESSOR: Scope("", (_KEYED, _KEYED, _KEYED)),
    Guard.BLOCK: Scope("", (_KEYED, _KEYED), {Fault.REJECTION: 1}, block=True),
}
"""Where each guard is needed."""


def without(guard: Guard) -> Scope:
    """The scope in which a guard is needed, and taken away."""
    return replace(GUARDS[guard], name=f"without: {guard.value}", without=frozenset({guard}))
