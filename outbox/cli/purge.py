"""`outbox purge`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import click

from outbox.cli.options import settings_options
from outbox.message import State
from outbox.settings import Loaded
from outbox.settings.values import CENTURY, duration, show_duration

if TYPE_CHECKING:
    from outbox.store.purge import Kept, Page, PrimaryKey


class _Age(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """How long ago."""

    name = "age"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read `30d` as seconds."""
        try:
            seconds = duration(str(value))
        except ValueError:
            self.fail(f"{value!r}: expected how long ago, such as 12h, 30d", param, ctx)
        if seconds > CENTURY:
            self.fail(f"{value!r}: expected less than a century", param, ctx)
        return seconds


@click.command()
@click.option(
    "--state",
    type=click.Choice([State.DELIVERED.value, State.FAILED.value]),
    help="Which messages. Pending ones are never removed.",
)
@click.option("--dedup", is_flag=True, help="Keys against duplicates instead, but those of pending messages.")
@click.option(
    "--older-than",
    type=_Age(),
    required=True,
    metavar="AGE",
    help="Settled, or a key made, longer ago than this: 12h, 30d.",
)
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@settings_options("database_url")
def purge(*, loaded: Loaded, state: str | None, dedup: bool, older_than: float, dry_run: bool, yes: bool) -> int:
    """Remove messages that were settled long ago, and the records of their attempts; or old keys against duplicates.

    Workers do it by themselves, as OUTBOX_KEEP_DELIVERED, OUTBOX_KEEP_FAILED and OUTBOX_KEEP_DEDUP say. In small steps, each
    a transaction of its own: workers and the application go on beside it, and what is removed when it is interrupted stays
    removed. A `dedup_key` outlives its message.
    """
    from outbox.render import line
    from outbox.store.opened import opened
    from outbox.store.purge import find, remove
    from outbox.store.transactions import Transactions

    what, words = _what(state, dedup, show_duration(older_than))
    _require_answer(given=dry_run or yes)
    with (
        opened(loaded.settings.database_url) as engine,
        closing(Transactions(engine, writes=False)) as looks,
        closing(Transactions(engine)) as writes,
    ):

        def look(after: PrimaryKey) -> Page:
            return looks.run(find, what, older_than, after)

        def take(page: Page) -> int:
            return writes.run(remove, what, older_than, page.old) if page.old else 0

        if not yes:
            count = _walk("Counting", what, look, lambda page: len(page.old))
            line(f"{count} {words}")
            if dry_run or not count:
                return 0
            if not click.confirm("Remove them?"):
                return 1
        removed = _walk("Removing", what, look, take)
    line(f"removed {removed} {words}")
    return 0


def _what(state: str | None, dedup: bool, age: str) -> tuple[Kept, str]:  # noqa: FBT001 - the option
    from outbox.store.purge import Kept

    if (state is not None) == dedup:
        msg = "Say which: --state delivered, --state failed, or --dedup"
        raise click.UsageError(msg)
    if dedup:
        return Kept.KEYS, f"keys against duplicates, made more than {age} ago"
    return Kept(state), f"{state}, settled more than {age} ago"


def _require_answer(*, given: bool) -> None:
    """See that somebody can be asked, where the call has not answered."""
    from outbox.render import is_terminal

    if not (given or (is_terminal() and sys.stdin.isatty())):
        msg = "Nobody can be asked here: add --yes, or --dry-run to count"
        raise click.UsageError(msg)


def _walk(title: str, what: Kept, look: Callable[[PrimaryKey], Page], count: Callable[[Page], int]) -> int:
    """Go along the primary key; give how many were old."""
    from outbox.render.progress import progress
    from outbox.store.purge import start_of

    old = looked = 0
    place: PrimaryKey | None = start_of(what)
    with progress(title) as advance:
        while place is not None:
            page = look(place)
            old, looked, place = old + count(page), looked + page.looked, page.reached
            advance(old, looked)
    return old
