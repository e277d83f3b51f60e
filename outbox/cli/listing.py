"""`outbox list` and `outbox failed`."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
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


def _listing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def build(*args: Any, as_json: bool, as_jsonl: bool, **options: Any) -> Any:
        if as_json and as_jsonl:
            msg = "--json and --jsonl exclude each other"
            raise click.UsageError(msg)
        form = "json" if as_json else "jsonl" if as_jsonl else None
        return command(*args, form=form, **options)

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
@click.option("--by", type=click.Choice(["error", "name", "status"]), help="Count them by cause instead.")
@settings_options("database_url")
def failed(*, loaded: Loaded, by: str | None, **options: Any) -> None:
    """List failed messages, newest first, or count them by cause.

    With --by: the most frequent cause first, when the first and the last of it failed, and the newest id of each.
    """
    if by is None:
        _list(loaded, **options)
    else:
        _count(loaded, by, **options)


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
    from outbox.render.messages import group_table

    objects = [_counted(by, each) for each in found]
    if form == "jsonl":
        out("".join(to_json(each) + "\n" for each in objects))
    elif form == "json":
        out(to_json(objects, indent=2) + "\n")
    elif found:
        group_table(by, found, now)
    else:
        line("No message matches.")


def _counted(by: str, group: Group) -> dict[str, object]:
    return {
        by: group.value,
        "count": group.count,
        "first_settled_at": group.first_settled_at,
        "last_settled_at": group.last_settled_at,
        "sample_id": group.sample_id,
    }
