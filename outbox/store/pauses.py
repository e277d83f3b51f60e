"""Pauses of a destination that all workers share: by the workers themselves, and by an operator."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from sqlalchemy import Connection, null

from outbox.message import Cause
from outbox.schema import ERROR_LENGTH, FOREVER, utc_after, utc_now
from outbox.store.gates import Gate, Reading, lock, write, written
from outbox.store.statements import fit

_CALM_SECONDS = 60.0
"""Seconds for which a destination must have been open so that its next pause is the shortest again."""

_MOST_PAUSES = 30
"""Further doublings would change nothing, and overflow in the end."""

_BY_LENGTH = 255

_NO_TURN: dict[str, Any] = {"probe_token": null(), "probe_until": null()}
_OPEN: dict[str, Any] = _NO_TURN | {
    "cause": null(),
    "reason": null(),
    "paused_by": null(),
    "paused_at": null(),
    "failing_since": null(),
}


class Grounds(NamedTuple):
    """Why a destination is paused, and by whom."""

    cause: Cause
    reason: str
    by: str

    def values(self) -> dict[str, Any]:
        """What the row says of it."""
        reason, by = fit(self.reason, ERROR_LENGTH), fit(self.by, _BY_LENGTH)
        return {"cause": self.cause.value, "reason": reason, "paused_by": by}


class Length(NamedTuple):
    """How long an automatic pause lasts until a probe may try to end it. Seconds."""

    wished: float | None
    """What the destination has asked for."""
    first: float
    """Without such a wish: so long, and twice as long each time."""
    longest: float

    def values(self, pauses: int) -> dict[str, Any]:
        """Until when, and how often it has doubled then. A wish doubles nothing."""
        if self.wished is not None:
            return {"paused_until": utc_after(_lengthened(self.wished)), "pauses": pauses}
        doubled = min(self.first * 2**pauses, self.longest)
        # The jitter is taken below the longest pause, too: cut off there, all that are that long would end together.
        seconds = random.uniform(0.8 * doubled, min(1.2 * doubled, self.longest))  # noqa: S311 - jitter, not a secret
        return {"paused_until": utc_after(seconds), "pauses": min(pauses + 1, _MOST_PAUSES)}


def pause(connection: Connection, name: str, grounds: Grounds, length: Length, *, failing_for: float = 0.0) -> Gate:
    """Pause a destination until a probe succeeds, and say how it stands then. The outage began `failing_for` s ago.

    A pause of an operator's is left alone. So is one that workers made before: several that see one outage make one
    pause. Only a wish of the destination's that is longer counts, and ends a probe's turn. The shortest pause comes
    first, and again when the destination was open for a minute.
    """
    stands = lock(connection, name)
    if stands.cause is Cause.OPERATOR:
        return stands.gate()
    if stands.is_automatic:
        wished = 0.0 if length.wished is None else _lengthened(length.wished)
        if wished <= stands.remaining:
            return stands.gate()
        return written(connection, name, **grounds.values(), **_NO_TURN, paused_until=utc_after(wished)).gate()
    pauses = 0 if stands.opened > _CALM_SECONDS else stands.row.pauses
    return _begin(connection, stands, grounds, length.values(pauses), failing_for)


def prolong(connection: Connection, stands: Reading, grounds: Grounds, length: Length) -> Gate:
    """Pause a destination anew whose probe has failed. Its row is locked. The outage is the one that it was."""
    lasts = length.values(stands.row.pauses)
    if stands.is_automatic:
        return written(connection, stands.row.name, **grounds.values(), **_NO_TURN, **lasts).gate()
    # It was open to others. The probe's own attempt belongs to the outage that begins, however long ago it was made.
    return _begin(connection, stands, grounds, lasts, _CALM_SECONDS)


def open_again(connection: Connection, stands: Reading) -> None:
    """End the pause that is in force in a row that is locked; where none is, only a probe's turn ends."""
    opened = {} if stands.cause is None else {"paused_until": utc_now()}
    write(connection, stands.row.name, **_OPEN, **opened)


def operator_pause(connection: Connection, name: str, reason: str, by: str, *, seconds: float | None) -> Reading:
    """Pause a destination for `seconds`, or until it is resumed. It takes the place of any other pause."""
    lock(connection, name)
    until = FOREVER if seconds is None else utc_after(seconds)
    since = {"paused_at": utc_now(), "failing_since": null()}
    words = Grounds(Cause.OPERATOR, reason, by)
    return written(connection, name, **words.values(), **_NO_TURN, **since, paused_until=until, pauses=0)


def resume(connection: Connection, name: str) -> Reading:
    """End any pause of a destination, and give the row as it was: without a cause where it was open."""
    stands = lock(connection, name)
    if stands.cause is not None:
        open_again(connection, stands)
    return stands


def _begin(
    connection: Connection, stands: Reading, grounds: Grounds, lasts: dict[str, Any], failing_for: float
) -> Gate:
    since = {"paused_at": utc_now(), "failing_since": utc_after(-failing_for)}
    return written(connection, stands.row.name, **grounds.values(), **_NO_TURN, **lasts, **since).gate()


def _lengthened(seconds: float) -> float:
    return seconds * random.uniform(1.0, 1.1)  # noqa: S311 - jitter, not a secret
