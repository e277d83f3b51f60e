"""`outbox send-test`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

import click

from outbox.cli.options import DurationType, settings_options
from outbox.errors import TryLater, did_you_mean
from outbox.settings import OVERCENTRIC, Loaded, Settings
from outbox.settings.values import show_duration

if TYPE_CHECKING:
    from outbox.destinations import Destination
    from outbox.event import Encoded
    from outbox.store.engine import Engine
    from outbox.store.look import Shown

NAME = "outbox_test"
"""The test event's: a custom name, as the Event API page has them, which feeds no pre-built report."""

_FIRST, _LONGEST = 0.02, 0.5
"""Seconds between two looks, growing."""


@click.command("send-test")
@click.option("--destination", default=OVERCENTRIC, show_default=True, metavar="NAME", help="Where to send it.")
@click.option(
    "--timeout",
    "seconds",
    default="30s",
    show_default=True,
    type=DurationType(),
    metavar="DURATION",
    help="How long to wait.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@settings_options("project_id", "endpoint", "database_url")
def send_test(*, loaded: Loaded, destination: str, seconds: float, as_json: bool) -> int:
    """Send one harmless event the way of all events, through the table and a worker, and show what was answered.

    Its name is outbox_test, its properties say that it is a test, and it names no person. It needs a worker that runs.
    Exit 0 where the destination took it, 1 where it did not, 75 where no answer came in time or nobody would send it.
    """
    from outbox.destinations import make
    from outbox.render.trial import Trial, show_trial, trial_json
    from outbox.store.opened import opened

    settings = loaded.settings
    if destination not in settings.destinations:
        msg = f"No destination is called {destination!r}{did_you_mean(destination, settings.destinations)}"
        raise click.UsageError(msg)
    made = make(settings.destinations[destination])
    encoded = _encoded(made)
    with opened(settings.database_url) as engine:
        _require_worker(engine, destination)
        message_id = _enqueue(engine, settings, destination, encoded)
        shown = _wait(engine, message_id, seconds)
    trial = Trial.of(shown, made, settings.destinations[destination])
    if as_json:
        trial_json(trial)
    else:
        show_trial(trial)
    if trial.outcome == "pending":
        msg = f"No answer within {show_duration(seconds)}; the message stays, and is sent when its turn comes"
        raise TryLater(
            msg, hint=f"`outbox show {message_id}` says what became of it; `outbox doctor`, what may be wrong."
        )
    return 0 if trial.outcome == "delivered" else 1


def _encoded(made: Destination) -> Encoded:
    """The test event as this kind of destination has it. Raises `EventRefused` where settings are missing for it."""
    from outbox.destinations import Overcentric
    from outbox.event import Event

    marks = {"test": True, "sent_by": "outbox send-test"}
    if isinstance(made, Overcentric):
        return made.encode(Event.server(NAME, properties=marks))
    return made.encode({"type": NAME, "data": marks})


def _require_worker(engine: Engine, destination: str) -> None:
    """Raise `TryLater` where nobody would send it now."""
    from outbox.render.standing import sentence
    from outbox.store.look import living, pause_of

    with engine.connect() as connection, connection.begin():
        workers, pause = living(connection), pause_of(connection, destination)
    if not workers:
        msg = "No worker is alive: nobody would send it, and nothing was enqueued"
        raise TryLater(msg, hint="Start one, in another terminal perhaps: outbox worker")
    if pause.cause is not None and not pause.probing:
        msg = f"{sentence(pause).rstrip('.')}; nothing was enqueued"
        raise TryLater(msg, hint=f"Wait, or run: outbox resume {destination}")


def _enqueue(engine: Engine, settings: Settings, destination: str, encoded: Encoded) -> UUID:
    """Commit it, as `outbox.enqueue` would write it; flags and --config count, not the environment alone."""
    from outbox.producer.ids import uuid7
    from outbox.producer.options import Options
    from outbox.producer.rows import Batch, row_of
    from outbox.producer.write import write_one
    from outbox.settings.producer import ProducerSettings
    from outbox.store.transactions import Transactions

    told, options = ProducerSettings.of(settings), Options(destination, None, None, None)
    batch = Batch(options, [row_of(uuid7(), encoded, told, options)], (None,), told.wakes)
    transactions = Transactions(engine)
    try:
        return transactions.run(write_one, batch)
    finally:
        transactions.close()


def _wait(engine: Engine, message_id: UUID, seconds: float) -> Shown:
    """Look until an attempt has ended, or the time has passed."""
    from outbox.store.look import shown

    def look() -> Shown | None:
        with connection.begin():
            return shown(connection, message_id)

    with engine.connect() as connection:
        return _until(look, seconds)


def _until(look: Callable[[], Shown | None], seconds: float) -> Shown:
    deadline, wait = time.monotonic() + seconds, _FIRST
    while True:
        found = look()
        if found is None:
            msg = "The test message was purged while it was waited for"
            raise TryLater(msg, hint="Send another.")
        if found.summary.state != "pending" or found.attempts_log or time.monotonic() >= deadline:
            return found
        time.sleep(min(wait, max(0.0, deadline - time.monotonic())))
        wait = min(wait * 1.5, _LONGEST)
