"""`outbox list` and `outbox failed`."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from outbox.cli.filters import filter_options
from outbox.cli.ids import IdType
from outbox.cli.options import settings_options
from outbox.message import State
from outbox.settings import Loaded

if TYPE_CHECKING:
    from outbox.store.look import Filters, Group, IdPrefix, Summary


_FORMS = ("json", "jsonl", "csv")


def _listing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def build(*args: Any, **options: Any) -> Any:
        forms = [form for form in _FORMS if options.pop(f"as_{form}")]
        if len(forms) > 1:
            msg = f"{' and '.join(f'--{form}' for form in forms)} exclude each other"
            raise click.UsageError(msg)
        return command(*args, form=forms[0] if forms else None, **options)

    for option in (
        click.option(
            "--after", type=IdType(), metavar="ID", help="Continue behind this id, the last of the page before."
        ),
        click.option(
            "--limit",
            type=click.IntRange(min=0, max=2**31),
            default=50,
            show_default=True,
            help="At most so many; 0 is all.",
        ),
        click.option("--csv", "as_csv", is_flag=True, help="CSV, for a spreadsheet: the fields of --json."),
        click.option("--jsonl", "as_jsonl", is_flag=True, help="One JSON object a line, as they are read."),
        click.option("--json", "as_json", is_flag=True, help="One JSON array."),
    ):
        build = option(build)
    return build


@click.command("list")
@filter_options()
@_listing_options
@settings_options("database_url")
def list_messages(*, loaded: Loaded, **options: Any) -> None:
    """List messages, newest first.

    Messages are in the order of their ids, which begin with the time. --after continues a listing behind its last id,
    also when that message is gone by now. Times are UTC.
    """
    _list(loaded, **options)


@click.command()
@filter_options(state=State.FAILED)
@_listing_options
@click.option(
    "--by", type=click.Choice(["error", "name", "status", "day"]), help="Count them by cause, or by day, instead."
)
@settings_options("database_url")
def failed(*, loaded: Loaded, filters: Filters, by: str | None, **options: Any) -> None:
    """List failed messages, newest first, or count them by cause or by day.

    With --by: the most frequent cause first, when the first and the last of it failed, and the newest id of each.
    Errors that differ in nothing but ids, numbers, addresses and times are one: # stands for those. A day is that on which
    a message failed, in UTC; the last one comes first. Discarded ones are left out, unless --failure-reason asks for them.
    """
    wanted = replace(filters, undiscarded=filters.failure_reason is None)
    if by is None:
        _list(loaded, filters=wanted, **options)
    else:
        _count(loaded, by, filters=wanted, **options)


def _list(loaded: Loaded, *, filters: Filters, form: str | None, limit: int, after: IdPrefix | None) -> None:
    from outbox.store.look import database_now, pages
    from outbox.store.opened import opened

    with opened(loaded.settings.database_url) as engine, engine.connect() as connection:
        # One more than is shown, in the table, tells whether there are more.
        most = limit + (form is None) if limit else None
        found = pages(connection, filters, after=after.low if after else None, limit=most)
        if form is None:
            _show(list(itertools.chain.from_iterable(found)), limit, database_now(connection))
        elif form == "jsonl":
            _write_lines(found)
        elif form == "csv":
            _write_csv(found)
        else:
            _write_array(found)


def _show(rows: list[Summary], limit: int, now: datetime) -> None:
    from outbox.render import line
    from outbox.render.messages import message_table

    if not rows:
        line("No message matches.")
        return
    shown = rows[:limit] if limit else rows
    message_table(shown, now)
    if len(rows) > len(shown):
        line(f"There are more: --after {shown[-1].id} continues, --limit 0 shows all.", err=True)


def _write_lines(found: Iterator[list[Summary]]) -> None:
    from outbox.render import out, to_json

    for page in found:
        out("".join(to_json(row) + "\n" for row in page))


def _write_csv(found: Iterator[list[Summary]]) -> None:
    from outbox.render import out
    from outbox.render.csvs import csv_row
    from outbox.store.look import Summary

    out(csv_row(Summary._fields))
    for page in found:
        out("".join(map(csv_row, page)))


def _write_array(found: Iterator[list[Summary]]) -> None:
    """Write the array a page at a time, a message a line: as constant in memory as the other form."""
    from outbox.render import out, to_json

    before = "[\n"
    for page in found:
        out(before + ",\n".join(to_json(row) for row in page))
        before = ",\n"
    out("[]\n" if before == "[\n" else "\n]\n")


def _count(loaded: Loaded, by: str, *, filters: Filters, form: str | None, limit: int, after: IdPrefix | None) -> None:
    from outbox.store.look import Grouping, database_now, groups
    from outbox.store.opened import opened

    if after is not None:
        msg = "--after continues a list; --by counts"
        raise click.UsageError(msg)
    with opened(loaded.settings.database_url) as engine, engine.connect() as connection:
        found = groups(connection, filters, Grouping(by), limit=limit or None)
        _show_counts(by, found, form, database_now(connection))


def _show_counts(by: str, found: list[Group], form: str | None, now: datetime) -> None:
    from outbox.render import line, out, to_json
    from outbox.render.csvs import csv_row
    from outbox.render.messages import group_fields, group_json, group_table

    objects = [group_json(by, each) for each in found]
    if form == "jsonl":
        out("".join(to_json(each) + "\n" for each in objects))
    elif form == "json":
        out(to_json(objects, indent=2) + "\n")
    elif form == "csv":
        out("".join(map(csv_row, [group_fields(by), *(each.values() for each in objects)])))
    elif found:
        group_table(by, found, now)
    else:
        line("No message matches.")
