"""Changes of many messages at once: counted, asked for, done in small steps, and on record."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import click

from outbox.cli.audit import Audit
from outbox.cli.filters import FilterText, as_options, is_narrowed
from outbox.cli.interrupts import Stop, stoppable
from outbox.message import FailureReason
from outbox.settings import Settings

if TYPE_CHECKING:
    from outbox.store.engine import Engine
    from outbox.store.look import Filters, IdPrefix
    from outbox.store.selection import Page
    from outbox.store.transactions import Transactions

Change: TypeAlias = "Callable[[Transactions, Filters, Sequence[str], Stop], Iterator[int]]"
"""Changes those of some messages that still match, in one transaction or several; gives how many each has changed."""


class How(NamedTuple):
    """What a command that changes many was told beside which ones."""

    everything: bool
    dry_run: bool
    yes: bool
    reason: str | None


_OPTIONS = (
    click.option("--all", "everything", is_flag=True, help="All of them, in place of a filter."),
    click.option("--dry-run", is_flag=True, help="Only count."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    click.option("--reason", type=FilterText(), metavar="TEXT", help="Why, for the log."),
)


def bulk_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a command that changes many is told; it gets one `how: How`."""

    @functools.wraps(command)
    def build(*args: Any, **options: Any) -> Any:
        how = How(*(options.pop(name) for name in How._fields))
        return command(*args, how=how, **options)

    wrapped: Callable[..., Any] = build
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def is_bulk(wanted: Sequence[IdPrefix], filters: Filters, how: How) -> bool:
    """Whether many are meant by a filter, not some by their ids. A call that does not say which is a usage error."""
    narrowed = is_narrowed(filters)
    if wanted and (narrowed or how.everything):
        msg = "Ids name the messages: filters and --all do not go with them"
        raise click.UsageError(msg)
    if how.everything and narrowed:
        msg = "--all means every one: filters do not go with it"
        raise click.UsageError(msg)
    if not (wanted or narrowed or how.everything):
        msg = "Which messages? Give ids, filters, or --all"
        raise click.UsageError(msg)
    return not wanted


def require_asking(how: How) -> None:
    """Refuse what can neither be asked nor was told not to ask."""
    from outbox.render import is_terminal

    if not (how.dry_run or how.yes or (is_terminal() and sys.stdin.isatty())):
        msg = "Nobody can be asked here: add --yes, or --dry-run to count"
        raise click.UsageError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """What one command does to many."""

    command: Sequence[str]
    """Its words without the filters: with them it goes on where it was interrupted."""
    audited: Sequence[str] = ()
    """These words without what may be personal data; by default the same."""
    title: str
    """Of the progress bar."""
    question: str
    passes: Callable[[Filters], Iterable[tuple[Filters, Change]]]
    """The set in parts, one after the other, and what is done to each."""
    preview: Callable[[Transactions, Filters], None] | None = None
    """What a dry run shows beside the count."""


@dataclass(slots=True)
class Tally:
    """How far a change of many has come."""

    count: int
    """Messages that were counted before it began."""
    found: int = 0
    """Messages that it has come to."""
    done: int = 0
    """Messages that it has changed."""
    signal: int | None = None
    """What interrupted it."""


def change_many(engine: Engine, settings: Settings, bulk: Bulk, filters: Filters, how: How) -> Tally | None:
    """Count, ask, change. None where nothing was to be done; an answer of no ends the command with 1.

    The set is bounded by the database's clock before it is counted: what fails again meanwhile is not met twice.
    Interrupted, by a signal or by trouble, it says how far it has come and which command goes on.
    """
    from outbox.store.selection import moment
    from outbox.store.transactions import Transactions

    with closing(Transactions(engine, writes=False)) as looks, closing(Transactions(engine)) as writes:
        bounded = filters.bounded(looks.run(moment))
        tally = Tally(_count(looks, bounded))
        if how.dry_run and bulk.preview:
            bulk.preview(looks, bounded)
        if how.dry_run or not tally.count:
            return None
        _ask(bulk.question, how)
        words = [*(bulk.audited or bulk.command), *as_options(bounded)]
        audit = Audit(shlex.join(words), how.reason)
        audit.begins(settings, tally.count)
        try:
            _change(bulk, bounded, (looks, writes), tally)
        except BaseException:
            _interrupted(bulk, bounded, how, audit, tally)
            raise
        if tally.signal is not None:
            _interrupted(bulk, bounded, how, audit, tally)
        else:
            audit.ended(tally.done, "has ended")
    return tally


def _ask(question: str, how: How) -> None:
    from outbox.render import line

    if not how.yes and not click.confirm(question):
        line("Nothing was changed")
        raise click.exceptions.Exit(1)


def _count(looks: Transactions, filters: Filters) -> int:
    """Count what matches, say it, and say what does not because it was discarded."""
    from outbox.render import line
    from outbox.render.messages import plural
    from outbox.render.progress import progress

    state = filters.state.value if filters.state else "any"
    with progress("Counting") as advance:
        count = _walk(looks, filters, advance)
        discarded = 0
        if filters.undiscarded and filters.failure_reason is None:
            others = replace(filters, undiscarded=False, failure_reason=FailureReason.DISCARDED)
            discarded = _walk(looks, others, advance)
    line(f"{plural(count, f'{state} message')} {'matches' if count == 1 else 'match'}")
    if discarded:
        line(f"{discarded:,} more, discarded before, {'is' if discarded == 1 else 'are'} left alone")
    return count


def _walk(looks: Transactions, filters: Filters, advance: Callable[[int, int], None]) -> int:
    count = looked = 0
    for page in pages(looks, filters):
        count, looked = count + len(page.ids), looked + page.looked
        advance(count, looked)
    return count


def pages(looks: Transactions, filters: Filters) -> Iterator[Page]:
    """Go along the primary key, each page in a transaction of its own."""
    from outbox.store.selection import select_page

    page = looks.run(select_page, filters)
    yield page
    while page.reached is not None:
        page = looks.run(select_page, filters, page.reached)
        yield page


def _change(bulk: Bulk, filters: Filters, transactions: tuple[Transactions, Transactions], tally: Tally) -> None:
    from outbox.render.progress import progress

    looks, writes = transactions
    with stoppable() as stop, progress(bulk.title) as advance:
        for some, change in bulk.passes(filters):
            for page in pages(looks, some):
                tally.found += len(page.ids)
                for done in change(writes, some, page.ids, stop) if page.ids else ():
                    tally.done += done
                    advance(tally.done, tally.count)
                if stop.signal is not None:
                    tally.signal = stop.signal
                    return


def _interrupted(bulk: Bulk, filters: Filters, how: How, audit: Audit, tally: Tally) -> None:
    """Say how far it has come, and how to go on."""
    from outbox.render import line

    audit.ended(tally.done, "was interrupted")
    reason = ["--reason", how.reason] if how.reason else []
    words = [*bulk.command, *as_options(filters), *reason, *(["--yes"] if how.yes else [])]
    line(f"outbox: interrupted: {tally.done:,} of {tally.count:,} done. To go on: {shlex.join(words)}", err=True)


def exit_code(tally: Tally, *, told: int = 0) -> int:
    """The command's exit code. Says what was left because it had changed since it was found.

    `told`: messages that were left for another reason, which was said.
    """
    from outbox.render import line
    from outbox.render.messages import plural

    if tally.signal is not None:
        return 128 + tally.signal
    if left := tally.found - tally.done - told:
        line(f"outbox: {plural(left, 'message')} left as found: held by a worker, or changed meanwhile", err=True)
        return 1
    return 0
