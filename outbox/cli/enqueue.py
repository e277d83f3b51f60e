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
from outbox.settings import Loaded, Settings
from outbox.settings.values import duration

if TYPE_CHECKING:
    from outbox.event import Encoded
    from outbox.producer.rows import Batch


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
@click.option("--on-unknown", type=click.Choice([each.value for each in OnUnknown]), default="retry", show_default=True)
@click.option("--destination", default="overcentric", show_default=True, metavar="NAME", help="Where to send it.")
@settings_options("project_id", "database_url")
def enqueue(*, loaded: Loaded, files: tuple[str, ...], dedup_key: str | None, **options: Any) -> int:
    """Put events from files into the outbox, all or none; print an id a line.

    A file (- is standard input) holds one request body of the Event API as JSON, or JSON Lines of them:
    {"event": {...}, "identity": {...}}. All are checked before anything is written, and written in one transaction.
    """
    from outbox.render import line, out

    given, problems = _read(files)
    events = _checked(given, loaded.settings, problems)
    if problems:
        for problem in problems:
            line(problem, err=True)
        line("outbox: nothing was enqueued", err=True)
        return EventRefused.exit_code
    if dedup_key is not None and len(events) != 1:
        msg = f"--dedup-key is for one event, and these are {len(events)}"
        raise click.UsageError(msg)
    ids = _write(loaded.settings.database_url, _batch(events, dedup_key=dedup_key, **options))
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


def _checked(given: list[Given], settings: Settings, problems: list[str]) -> list[Encoded]:
    """The events as they will be sent; adds what is wrong to the problems, one a line."""
    events = []
    for where, value in given:
        if not isinstance(value, dict):
            problems.append(
                f'{where}: is no request body; write {{"event": {{...}}}}, and one a line if there are more'
            )
            continue
        try:
            events.append(_encoded(where, value, settings))
        except EventRefused as refused:
            problems += [f"{where}: {problem}" for problem in refused.problems]
    return events


def _encoded(where: str, body: dict[str, Any], settings: Settings) -> Encoded:
    from outbox.event import encode
    from outbox.render import line

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", OutboxWarning)
        encoded = encode(
            body,
            project_id=settings.project_id,
            max_body=settings.max_body,
            occurred_at_property=settings.occurred_at_property,
            allow_names=settings.allow_names,
        )
    for warning in warned:
        line(f"{where}: warning: {warning.message}", err=True)
    return encoded


def _batch(events: list[Encoded], *, dedup_key: str | None, ordering_key: str | None, **options: Any) -> Batch:
    """The rows, made here and not by `outbox.enqueue`: flags and --config count, not the environment alone."""
    from outbox.producer.ids import uuid7s
    from outbox.producer.options import check_key, check_options, check_undelayed
    from outbox.producer.rows import Batch

    problems: list[Problem] = []
    checked = check_options(problems, **options, deliver_at=None)
    for field, key in (("--dedup-key", dedup_key), ("--ordering-key", ordering_key)):
        if key is not None:
            check_key(key, problems, field)
    if ordering_key is not None:
        check_undelayed(checked, problems)
    if problems:
        raise EventRefused(*problems)
    shared = {"destination": checked.destination, "on_unknown": checked.on_unknown}
    if ordering_key is not None:
        shared["ordering_key"] = ordering_key
    rows = [
        shared | {"id": made, "name": event.name, "body": event.body}
        for made, event in zip(uuid7s(len(events)), events, strict=True)
    ]
    return Batch(checked, rows, [dedup_key] * len(rows))


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
