"""`outbox purge`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from outbox.cli.options import settings_options
from outbox.message import State
from outbox.settings import Loaded
from outbox.settings.values import duration, show_duration

if TYPE_CHECKING:
    from outbox.store.purge import Page


_LONGEST = 100 * 365 * 86400.0


class _Age(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """How long ago."""

    name = "age"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read `30d` as seconds."""
        try:
            seconds = duration(str(value))
        except ValueError:
            self.fail(f"{value!r}: expected how long ago, such as 12h, 30d", param, ctx)
        if seconds > _LONGEST:
            self.fail(f"{value!r}: expected less than a century", param, ctx)
        return seconds


@click.command()
@click.option(
    "--state",
    type=click.Choice([State.DELIVERED.value, State.FAILED.value]),
    required=True,
    help="Which messages. Pending ones are never removed.",
)
@click.option("--older-than", type=_Age(), required=True, metavar="AGE", help="Settled longer ago than this: 12h, 30d.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@settings_options("database_url")
def purge(*, loaded: Loaded, state: str, older_than: float, dry_run: bool, yes: bool) -> int:
    """Remove messages that were settled long ago, and the records of their attempts.

    In small steps, each a transaction of its own: workers and the application go on beside it, and what is removed
    when it is interrupted stays removed. A `dedup_key` outlives its message.
    """
    from outbox.render import is_terminal, line
    from outbox.store.opened import opened
    from outbox.store.purge import count_page, purge_page
    from outbox.store.transactions import Transactions

    wanted, words = State(state), f"{state}, settled more than {show_duration(older_than)} ago"
    if not (dry_run or yes or (is_terminal() and sys.stdin.isatty())):
        msg = "Nobody can be asked here: add --yes, or --dry-run to count"
        raise click.UsageError(msg)
    with opened(loaded.settings.database_url) as engine:
        looks, writes = Transactions(engine, writes=False), Transactions(engine)
        try:
            if not yes:
                count = _walk("Counting", lambda after: looks.run(count_page, wanted, older_than, after))
                line(f"{count} {words}")
                if dry_run or not count or not click.confirm("Remove them?"):
                    return 0
            removed = _walk("Removing", lambda after: writes.run(purge_page, wanted, older_than, after))
        finally:
            looks.close()
            writes.close()
    line(f"removed {removed} {words}")
    return 0


def _walk(title: str, step: Callable[[str | None], Page]) -> int:
    """Go along the primary key; give how many old messages there were."""
    from outbox.render.progress import progress

    old = looked = 0
    with progress(title) as advance:
        page = step(None)
        while True:
            old, looked = old + page.old, looked + page.looked
            advance(old, looked)
            if page.reached is None:
                return old
            page = step(page.reached)
