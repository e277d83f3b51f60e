"""`outbox enqueue`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from outbox.cli.bodies import Given, read_bodies
from outbox.cli.options import settings_options
from outbox.errors import EventRefused, OutboxWarning, Problem
from outbox.message import OnUnknown
from outbox.settings import OVERCENTRIC, Loaded
from outbox.settings.values import duration

if TYPE_CHECKING:
    from outbox.destinations import Destination
    from outbox.event import Encoded
    from outbox.producer.options import Options
    from outbox.producer.rows import Batch
    from outbox.settings.producer import ProducerSettings


class _Delay(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """A duration in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read `30s`, `5m`, `2h`."""
        try:
            return value if isinstance(value, float) else duration(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--dedup-key", metavar="KEY", help="Enqueue nothing if the key is known; print the first message's id.")
@click.option(
    "--ordering-key", metavar="KEY", help="Messages of a key are sent in order, one at a time; not with --delay."
)
@click.option("--delay", type=_Delay(), metavar="DURATION", help="Send it no earlier than this from now: 30s, 5m, 2h.")
@click.option(
    "--on-unknown",
    type=click.Choice([each.value for each in OnUnknown]),
    help="What to do in doubt; by default as the destination's settings and OUTBOX_PARK say, or retry.",
)
@click.option("--destination", default=OVERCENTRIC, show_default=True, metavar="NAME", help="Where to send it.")
@settings_options("project_id", "database_url")
def enqueue(*, loaded: Loaded, files: tuple[str, ...], dedup_key: str | None, **options: Any) -> int:
    """Put events from files into the outbox, all or none; print an id a line.

    A file (- is standard input) holds one request body of the Event API as JSON, or JSON Lines of them:
    {"event": {...}, "identity": {...}}; for a webhook any JSON. All are checked before anything is written, and
    written in one transaction.
    """
    from outbox.destinations import make
    from outbox.render import line, out
    from outbox.settings.producer import ProducerSettings

    settings = ProducerSettings.of(loaded.settings)
    checked = _checked_options(settings, dedup_key=dedup_key, **options)
    given, problems = _read(files)
    events = _checked(given, make(settings.destinations[checked.destination]), problems)
    if problems:
        for problem in problems:
            line(problem, err=True)
        line("outbox: nothing was enqueued", err=True)
        return EventRefused.exit_code
    if dedup_key is not None and len(events) != 1:
        msg = f"--dedup-key is for one event, and these are {len(events)}"
        raise click.UsageError(msg)
    batch = _batch(events, settings, checked, dedup_key, options["ordering_key"])
    ids = _write(loaded.settings.database_url, batch)
    out("".join(f"{each}\n" for each in ids))
    return 0


def _read(files: Iterable[str]) -> tuple[list[Given], list[str]]:
    given: list[Given] = []
    problems: list[str] = []
    for name in files:
        found, wrong = read_bodies("<stdin>" if name == "-" else name, _bytes(name))
        given += found
        problems += wrong
    return given, problems


def _bytes(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        msg = f"{name} cannot be read: {error.strerror}"
        raise click.BadParameter(msg, param_hint="FILE") from error


def _checked(given: list[Given], destination: Destination, problems: list[str]) -> list[Encoded]:
    """The events as they will be sent; adds what is wrong to the problems, one a line."""
    from outbox.destinations import Overcentric

    events = []
    for where, value in given:
        if isinstance(destination, Overcentric) and not isinstance(value, dict):
            problems.append(
                f'{where}: is no request body; write {{"event": {{...}}}}, and one a line if there are more'
            )
            continue
        try:
            events.append(_encoded(where, value, destination))
        except EventRefused as refused:
            problems += [f"{where}: {problem}" for problem in refused.problems]
    return events


def _encoded(where: str, body: Any, destination: Destination) -> Encoded:
    from outbox.render import line

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", OutboxWarning)
        encoded = destination.encode(body)
    for warning in warned:
        line(f"{where}: warning: {warning.message}", err=True)
    return encoded


def _checked_options(
    settings: ProducerSettings, *, dedup_key: str | None, ordering_key: str | None, **options: Any
) -> Options:
    from outbox.producer.options import check_key, check_options, check_undelayed

    problems: list[Problem] = []
    checked = check_options(problems, settings.destinations, **options, deliver_at=None)
    for field, key in (("--dedup-key", dedup_key), ("--ordering-key", ordering_key)):
        if key is not None:
            check_key(key, problems, field)
    if ordering_key is not None:
        check_undelayed(checked, problems)
    if problems:
        raise EventRefused(*problems)
    return checked


def _batch(
    events: list[Encoded], settings: ProducerSettings, options: Options, dedup_key: str | None, ordering_key: str | None
) -> Batch:
    """The rows, made here and not by `outbox.enqueue`: flags and --config count, not the environment alone."""
    from outbox.producer.ids import uuid7s
    from outbox.producer.rows import Batch, row_of

    rows = [row_of(made, event, settings, options) for made, event in zip(uuid7s(len(events)), events, strict=True)]
    if ordering_key is not None:
        rows = [row | {"ordering_key": ordering_key} for row in rows]
    return Batch(options, rows, [dedup_key] * len(rows))


def _write(database_url: str, batch: Batch) -> list[UUID]:
    from outbox.producer.write import write_many
    from outbox.store.opened import opened
    from outbox.store.transactions import Transactions

    with opened(database_url) as engine:
        transactions = Transactions(engine)
        try:
            return transactions.run(write_many, batch)
        finally:
            transactions.close()
