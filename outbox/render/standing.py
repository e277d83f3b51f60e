"""How the outbox stands, a verdict first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from outbox.event.moments import rfc3339
from outbox.render.ages import age, ago
from outbox.render.messages import group_json, group_table
from outbox.render.screen import line
from outbox.render.table import Column, table
from outbox.schema import FOREVER
from outbox.settings.destinations import own_variable
from outbox.store.look import NEWEST, Destination, Standing

_STALE = 120.0
"""Seconds that something may be due before the question is what keeps the workers from it."""


def standing_json(stands: Standing) -> dict[str, Any]:
    """The object of `outbox status --json`: `delivered_estimated` is there only when it is true."""
    found = vars(stands) | {"errors": [group_json("error", each) for each in stands.errors]}
    if not stands.delivered_estimated:
        del found["delivered_estimated"]
    return found | {"verdict": [*verdict(stands)]}


def show_standing(stands: Standing, database: str) -> None:
    """Print the verdict, then the counts, the destinations, the workers, and the most frequent errors."""
    for sentence in verdict(stands):
        line(sentence)
    line(f"Database: {database}")
    line()
    about = "about " if stands.delivered_estimated else ""
    rows = [
        ("due", f"{stands.due:,}"),
        ("claimed", "not counted" if stands.claimed is None else f"{stands.claimed:,}"),
        ("scheduled", f"{stands.scheduled:,}"),
        ("delivered", f"{about}{stands.delivered:,}"),
        ("failed", f"{stands.failed:,}"),
    ]
    if stands.discarded:
        rows.append(("discarded", f"{stands.discarded:,}"))
    table((Column("STATE", styles={"failed": "red"} if stands.failed else {}), Column("MESSAGES", right=True)), rows)
    line()
    table(
        (Column("DESTINATION"), Column("PAUSED"), Column("SINCE"), Column("BY"), Column("REASON")),
        [(each.name, _pause(each), _since(each), each.paused_by, each.reason) for each in stands.destinations],
    )
    _show_workers(stands)
    _show_errors(stands)


def _show_workers(stands: Standing) -> None:
    line()
    if not stands.workers:
        line(_no_worker(stands))
        return
    table(
        (Column("WORKER"), Column("PROCESS", right=True), Column("VERSION"), Column("STARTED"), Column("SEEN")),
        [
            (each.host, each.pid, each.version, ago(each.started_at, stands.now), ago(each.seen_at, stands.now))
            for each in stands.workers
        ],
    )


def _show_errors(stands: Standing) -> None:
    if not stands.errors:
        return
    line()
    if stands.failed > NEWEST:
        line(f"Of the newest {NEWEST:,} failed:")
    group_table("error", stands.errors, stands.now)


def verdict(stands: Standing) -> Iterator[str]:
    """What a person at 3 a.m. must know, most urgent first."""
    trouble = [*_trouble(stands)]
    yield from trouble
    if stands.oldest_due_seconds is not None:
        yield f"{stands.due:,} due, the oldest for {age(stands.oldest_due_seconds)}.{_why_due(stands)}"
    elif not trouble:
        yield f"All well: {_waiting(stands)}."


def _why_due(stands: Standing) -> str:
    if not stands.workers:
        return f" {_no_worker(stands)}"
    is_held_up = any(each.cause is not None for each in stands.destinations) or stands.unconfigured
    if is_held_up or stands.claimed != 0 or (stands.oldest_due_seconds or 0.0) <= _STALE:
        return ""
    return " The workers that live hold nothing: their logs say why."


def _no_worker(stands: Standing) -> str:
    if (last := stands.last_worker) is None:
        return "No worker is running."
    return f"No worker is running; the last one was seen {ago(last.seen_at, stands.now)}: process {last.pid} on {last.host}."


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
    if stands.last_worker is not None and stands.pending and stands.oldest_due_seconds is None:
        yield _no_worker(stands)
    for worker in stands.troubles:
        yield f"The worker on {worker.host} (process {worker.pid}) waits: {worker.trouble}."


def _waiting(stands: Standing) -> str:
    if not stands.pending:
        return "nothing is waiting"
    parts = [(stands.claimed or 0, "being sent"), (stands.scheduled, "scheduled for later")]
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
