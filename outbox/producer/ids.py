"""Message ids: UUID version 7 (RFC 9562 §5.7), made here so that the id is known before the INSERT."""

from __future__ import annotations

from operator import attrgetter
from os import urandom
from time import time_ns
from uuid import UUID, SafeUUID

_VERSION_AND_VARIANT = 0x7000_8000_0000_0000_0000
_RANDOM_BITS = (1 << 62) - 1
_UNKNOWN = SafeUUID.unknown
_AS_NUMBER = attrgetter("int")  # comparing UUIDs themselves costs half as much as making them
_blank = object.__new__
_set = object.__setattr__


def uuid7() -> UUID:
    """Make an id that sorts by the time at which it was made, to about 250 ns.

    48 bits of milliseconds, 12 bits of the millisecond's fraction (RFC 9562 §6.2, method 3), 62 bits from the
    system's random source. There is no counter and no generator of our own: threads and forked children share nothing.
    An `enqueue` takes longer than 250 ns by far, so that the ids of one call after another ascend.
    """
    milliseconds, rest = divmod(time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    random = int.from_bytes(urandom(8), "big") & _RANDOM_BITS
    made = _blank(UUID)  # UUID's own constructor checks six ways of calling it: 1 µs more
    _set(made, "int", milliseconds << 80 | fraction << 64 | random | _VERSION_AND_VARIANT)
    _set(made, "is_safe", _UNKNOWN)
    return made


def uuid7s(count: int) -> list[UUID]:
    """Make ids in ascending order, however coarse the machine's clock is."""
    return sorted([uuid7() for _ in range(count)], key=_AS_NUMBER)
