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
from outbox.settings.destinations import own_variable
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
    """Print the verdict, then the counts, then the destinations."""
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
        (Column("DESTINATION"), Column("PAUSED"), Column("SINCE"), Column("BY"), Column("REASON")),
        [(each.name, _pause(each), _since(each), each.paused_by, each.reason) for each in stands.destinations],
    )


def verdict(stands: Standing) -> Iterator[str]:
    """What a person at 3 a.m. must know, most urgent first."""
    trouble = [*_trouble(stands)]
    yield from trouble
    if stands.oldest_due_seconds is not None:
        asks = " Is a worker running?" if stands.oldest_due_seconds > _STALE and not stands.claimed else ""
        yield f"{stands.due:,} due, the oldest for {age(stands.oldest_due_seconds)}.{asks}"
    elif not trouble:
        yield f"All well: {_waiting(stands)}."


def sentence(destination: Destination) -> str:
    """Say who has paused a destination, why, and until when."""
    by = f" by {destination.paused_by}" if destination.paused_by else ""
    why = f": {destination.reason}" if destination.reason else ""
    how = "until a probe succeeds" if destination.probing else _pause(destination)
    return f"{destination.name} is paused {how}{by}{why}."


def _trouble(stands: Standing) -> Iterator[str]:
    if stands.failed:
        yield f"{stands.failed:,} failed: `outbox failed` lists them."
    for destination in stands.destinations:
        if destination.cause is not None:
            yield sentence(destination)
    for unconfigured in stands.unconfigured:
        how = f"set {own_variable(unconfigured.name, 'url')} where the worker runs"
        yield f"{unconfigured.due:,} due for {unconfigured.name}, which is not configured here: {how}."
    if stands.retrying:
        yield f"{stands.retrying:,} tried in vain so far, and to be tried again: `outbox list --state pending` says why."
    for worker in stands.troubles:
        yield f"The worker on {worker.host} (process {worker.pid}) waits: {worker.trouble}."


def _waiting(stands: Standing) -> str:
    if not stands.pending:
        return "nothing is waiting"
    parts = [(stands.claimed, "being sent"), (stands.scheduled, "scheduled for later")]
    return ", ".join(f"{count:,} {what}" for count, what in parts if count)


def _pause(destination: Destination) -> str:
    if destination.cause is None or destination.paused_until is None:
        return "no"
    if destination.probing:
        return "probing"
    return "until resumed" if _is_endless(destination.paused_until) else _until(destination.paused_until)


def _since(destination: Destination) -> str:
    return "" if destination.paused_at is None else rfc3339(destination.paused_at, micros=False)


def _is_endless(until: datetime) -> bool:
    return until.astimezone(UTC) >= FOREVER


def _until(moment: datetime) -> str:
    return f"until {rfc3339(moment, micros=False)}"
