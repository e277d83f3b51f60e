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


def _once(*faults: Fault) -> dict[Fault, int]:
    return dict.fromkeys(faults, 1)


_ONE = (_PLAIN,)
_TWO = (_PLAIN, _PLAIN)
_KEY_OF_TWO = (_KEYED, _KEYED)
_KEY_OF_THREE = (_KEYED, _KEYED, _KEYED)
_NOT_HERE = (Fault.ROLLBACK, Fault.LOCK, Fault.STOP)

SHORT = {
    Scope("one message", _ONE, _once(*(fault for fault in Fault if fault not in _NOT_HERE))): 515_717,
    Scope(
        "two: answers, crash, stop",
        _TWO,
        _once(Fault.DOUBT, Fault.REFUSAL, Fault.REJECTION, Fault.CRASH, Fault.STOP),
    ): 196_620,
    Scope("two: database, crash", _TWO, _once(Fault.AMBIGUOUS, Fault.RESTART, Fault.LOCK, Fault.CRASH)): 199_038,
    Scope("two: freeze", _TWO, _once(Fault.FREEZE)): 44_907,
    Scope("two, three workers", _TWO, _once(Fault.CRASH, Fault.RESTART, Fault.REFUSAL), workers=3): 26_666,
    Scope("two, two senders", _TWO, _once(Fault.CRASH, Fault.DOUBT, Fault.STOP), senders=2): 31_464,
    Scope("late commits", (_LATE, _LATE), _once(Fault.CRASH, Fault.ROLLBACK, Fault.STOP), watermark=True): 24_096,
    Scope("poison", (_PLAIN, _POISON), _once(Fault.STOP, Fault.REFUSAL, Fault.RESTART)): 29_179,
    Scope("poison, crash", (_POISON, _PLAIN), _once(Fault.CRASH)): 7_556,
    Scope("park", (_PARK, _PLAIN), _once(Fault.CRASH, Fault.DOUBT, Fault.RETRY, Fault.REFUSAL)): 43_343,
    Scope("park beside poison", (_POISON, _PARK), _once(Fault.CRASH, Fault.DOUBT, Fault.STOP)): 10_773,
    Scope(
        "key of two",
        _KEY_OF_TWO,
        _once(Fault.CRASH, Fault.REFUSAL, Fault.REJECTION, Fault.AMBIGUOUS, Fault.RESTART),
    ): 120_098,
    Scope("key of two: freeze", _KEY_OF_TWO, _once(Fault.FREEZE, Fault.REFUSAL)): 35_394,
    Scope(
        "key of two: block",
        _KEY_OF_TWO,
        _once(Fault.CRASH, Fault.REFUSAL, Fault.REJECTION, Fault.RETRY),
        block=True,
    ): 19_661,
    Scope("key of three", _KEY_OF_THREE, _once(Fault.REFUSAL)): 20_472,
    Scope("a key and none", (_KEYED, _PLAIN, _KEYED), _once(Fault.REFUSAL)): 25_744,
}
"""The scopes of `make test`, and how many states each has: fewer would mean that something is not looked at any more."""

LONG = (
    Scope("one message, every fault", (_LATE,), _once(*Fault), workers=3),
    Scope("two: freeze and more", _TWO, _once(Fault.FREEZE, Fault.REFUSAL, Fault.STOP, Fault.RESTART)),
    Scope("two: freeze, crash", _TWO, _once(Fault.FREEZE, Fault.CRASH)),
    Scope("poison between two", (_PLAIN, _POISON, _PLAIN), _once(Fault.STOP, Fault.REFUSAL), limit=3),
    Scope(
        "park and more",
        (_PARK, _PLAIN),
        _once(Fault.CRASH, Fault.DOUBT, Fault.AMBIGUOUS, Fault.RETRY, Fault.STOP, Fault.RESTART),
    ),
    Scope(
        "key of two: freeze and more",
        _KEY_OF_TWO,
        _once(Fault.FREEZE, Fault.AMBIGUOUS, Fault.CRASH, Fault.RESTART, Fault.STOP),
    ),
    Scope(
        "key of two: freeze, retry",
        _KEY_OF_TWO,
        _once(Fault.FREEZE, Fault.REFUSAL, Fault.REJECTION, Fault.RETRY),
    ),
    Scope(
        "key of three, crash",
        _KEY_OF_THREE,
        _once(Fault.CRASH, Fault.REFUSAL, Fault.RESTART, Fault.ROLLBACK),
    ),
    Scope("key of three: block", _KEY_OF_THREE, _once(Fault.REJECTION, Fault.RETRY, Fault.STOP), block=True),
)
"""What `make model` searches beside them."""

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
    Guard.ONE_SUCCESSOR: Scope("", (_KEYED, _KEYED, _KEYED)),
    Guard.BLOCK: Scope("", (_KEYED, _KEYED), {Fault.REJECTION: 1}, block=True),
}
"""Where each guard is needed."""


def without(guard: Guard) -> Scope:
    """The scope in which a guard is needed, and taken away."""
    return replace(GUARDS[guard], name=f"without: {guard.value}", without=frozenset({guard}))
