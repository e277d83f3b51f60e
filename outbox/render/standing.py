"""How the outbox stands, a verdict first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from outbox.event.moments import rfc3339
from outbox.render.ages import age
from outbox.render.screen import line
from outbox.render.table import Column, table
from outbox.schema import FOREVER
from outbox.store.look import Destination, Standing

_STALE = 120.0
"""Seconds that something may be due before the question is whether a worker runs."""


def standing_json(stands: Standing) -> dict[str, Any]:
    """The object of `outbox status --json`: `delivered_estimated` is there only when it is true."""
    found = stands._asdict()
    if not stands.delivered_estimated:
        del found["delivered_estimated"]
    return found


def show_standing(stands: Standing, database: str) -> None:
    """Print the verdict, then the counts, then the pauses."""
    for sentence in verdict(stands):
        line(sentence)
    line(f"Database: {database}")
    line()
    about = "about " if stands.delivered_estimated else ""
    rows = [
        ("due", f"{stands.due:,}"),
        ("claimed", f"{stands.claimed:,}"),
        ("scheduled", f"{stands.scheduled:,}"),
        ("delivered", f"{about}{stands.delivered:,}"),
        ("failed", f"{stands.failed:,}"),
    ]
    table((Column("STATE", styles={"failed": "red"} if stands.failed else {}), Column("MESSAGES", right=True)), rows)
    line()
    table(
        (Column("DESTINATION"), Column("PAUSED"), Column("REASON")),
        [(each.name, _pause(each), each.reason) for each in stands.destinations],
    )


def verdict(stands: Standing) -> Iterator[str]:
    """What a person at 3 a.m. must know, most urgent first."""
    if stands.failed:
        yield f"{stands.failed:,} failed: `outbox failed` lists them."
    for each in stands.destinations:
        if each.paused_until is not None:
            yield f"{each.name} is paused {_pause(each)}{f': {each.reason}' if each.reason else ''}."
    if stands.oldest_due_seconds is not None:
        asks = " Is a worker running?" if stands.oldest_due_seconds > _STALE and not stands.claimed else ""
        yield f"{stands.due:,} due, the oldest for {age(stands.oldest_due_seconds)}.{asks}"
    elif not stands.failed:
        yield f"All well: {_waiting(stands)}."


def _waiting(stands: Standing) -> str:
    if not stands.pending:
        return "nothing is waiting"
    parts = [(stands.claimed, "being sent"), (stands.scheduled, "scheduled for later")]
    return ", ".join(f"{count:,} {what}" for count, what in parts if count)


def _pause(destination: Destination) -> str:
    if destination.paused_until is None:
        return "no"
    return "until resumed" if _is_endless(destination.paused_until) else _until(destination.paused_until)


def _is_endless(until: datetime) -> bool:
    return until.astimezone(UTC) >= FOREVER


def _until(moment: datetime) -> str:
    return f"until {rfc3339(moment, micros=False)}"
