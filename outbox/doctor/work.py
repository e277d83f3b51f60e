"""Who works on the messages, and how they stand."""

from __future__ import annotations

from collections.abc import Iterator

from outbox._version import __version__
from outbox.doctor.finding import Finding, ok, problem, warning
from outbox.render import age
from outbox.render.standing import sentence
from outbox.settings import Settings
from outbox.settings.destinations import own_variable
from outbox.store.engine import Connection
from outbox.store.look import Standing, is_listened_to, living, standing

_STALE = 120.0
"""Seconds that something may be due before a worker is missed."""


def workers(connection: Connection, _settings: Settings) -> Iterator[Finding]:
    """Whether one is alive, of this version."""
    found = living(connection)
    if not found:
        yield warning("worker", "no worker is alive: nothing is delivered", "Start one: outbox worker")
        return
    yield ok("worker", ", ".join(f"{each.host} (process {each.pid})" for each in found))
    others = sorted({each.version for each in found} - {__version__})
    if others:
        text = f"workers of other versions are alive: {', '.join(others)}; this is {__version__}"
        yield warning("worker", text, "Deploy one version everywhere")


def messages(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """What is due and not sent, for whatever reason, and what was given up."""
    stands = standing(connection, tuple(settings.destinations))
    yield from _late(stands)
    for each in stands.unconfigured:
        text = f"{each.due:,} due for {each.name}, which these settings do not know"
        yield warning("messages", text, f"Set {own_variable(each.name, 'url')} where the worker runs")
    for worker in stands.troubles:
        text = f"the worker on {worker.host} (process {worker.pid}) waits: {worker.trouble}"
        yield warning("worker", text, "Look at that host's network")
    for destination in stands.destinations:
        if destination.cause is not None:
            remedy = f"When it works again: outbox resume {destination.name}"
            yield warning("pause", sentence(destination).rstrip("."), remedy)
    if stands.failed:
        remedy = "outbox failed --by error; then repair the cause, and outbox retry"
        yield warning("messages", f"{stands.failed:,} failed: nobody sends them again on their own", remedy)


def _late(stands: Standing) -> Iterator[Finding]:
    oldest = stands.oldest_due_seconds
    claimed = "" if stands.claimed is None else f"{stands.claimed:,} claimed, "
    if oldest is None or oldest <= _STALE or stands.claimed:
        yield ok("messages", f"{stands.due:,} due, {claimed}{stands.scheduled:,} scheduled")
    elif stands.claimed is None and stands.workers:
        text = f"{stands.due:,} due, the oldest for {age(oldest)}: too many to see which ones workers hold"
        yield warning("messages", text, "See whether they become fewer: outbox status --watch")
    else:
        what = "is alive" if stands.claimed is None else "holds any"
        text = f"{stands.due:,} due, the oldest for {age(oldest)}, and no worker {what}"
        yield problem("messages", text, "See that a worker runs, and what its log says")


def wake(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Whether anybody hears what `enqueue` says with OUTBOX_WAKE=on."""
    if settings.wake != "on":
        return
    if connection.dialect.name != "postgresql":
        text = "OUTBOX_WAKE=on means nothing here: only PostgreSQL can tell of a commit"
        yield warning("wake", text, "Unset it")
        return
    heard = is_listened_to(connection)
    if heard is False and living(connection):
        text = "OUTBOX_WAKE=on, and no worker listens: the application's notifications wake nobody"
        remedy = "Set it for the workers, too, and let them reach PostgreSQL without a transaction pooler"
        yield warning("wake", text, remedy)
    elif heard:
        yield ok("wake", "a worker listens")
