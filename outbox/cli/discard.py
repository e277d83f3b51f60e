"""`outbox discard`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import click

from outbox.cli.audit import put_on_record
from outbox.cli.bulk import Bulk, How, bulk_options, change_many, exit_code, is_bulk, require_asking
from outbox.cli.filters import filter_options
from outbox.cli.ids import IdType, complain, the_ones
from outbox.cli.interrupts import Stop
from outbox.cli.options import settings_options
from outbox.errors import MessageNotFound, OutboxError, WrongState
from outbox.message import State
from outbox.settings import Loaded

if TYPE_CHECKING:
    from outbox.store.discard import Found
    from outbox.store.engine import Engine
    from outbox.store.look import Filters, IdPrefix
    from outbox.store.transactions import Transactions


@click.command()
@click.argument("wanted", type=IdType(), nargs=-1, metavar="[ID...]")
@filter_options(state=State.FAILED)
@click.option(
    "--state",
    type=click.Choice([State.FAILED.value, State.PENDING.value]),
    default=State.FAILED.value,
    show_default=True,
    help="Which messages. Of pending ones those that no worker holds.",
)
@bulk_options
@settings_options("database_url")
def discard(*, loaded: Loaded, wanted: tuple[IdPrefix, ...], filters: Filters, state: str, how: How) -> int:
    """Give messages up for good: failed, with the reason `discarded`.

    Those with the given ids, or all that match the filters. They stay on record until they are purged, hold up nobody
    of their ordering key, and are sent again only where `outbox retry` is told their ids, or --failure-reason discarded.
    A pending one that a worker holds is left.
    """
    from outbox.store.opened import opened

    bulk = is_bulk(wanted, filters, how)
    if bulk:
        require_asking(how)
    elif how.dry_run:
        msg = "--dry-run counts: it goes with filters or --all"
        raise click.UsageError(msg)
    with opened(loaded.settings.database_url) as engine:
        if bulk:
            return _discard_many(engine, loaded, replace(filters, state=State(state)), how)
        return _discard_some(engine, loaded, wanted, State(state), how)


def _discard_many(engine: Engine, loaded: Loaded, filters: Filters, how: How) -> int:
    from outbox.render import line
    from outbox.render.messages import plural

    is_pending = filters.state is State.PENDING
    bulk = Bulk(
        command=["outbox", "discard", *(["--state", "pending"] if is_pending else [])],
        title="Discarding",
        question="Discard them?",
        passes=lambda some: [(some, _discard)],
    )
    tally = change_many(engine, loaded.settings, bulk, replace(filters, undiscarded=not is_pending), how)
    if tally is None:
        return 0
    line(f"{plural(tally.done, 'message')} discarded")
    return exit_code(tally)


def _discard(writes: Transactions, filters: Filters, ids: Sequence[str], _stop: Stop) -> Iterator[int]:
    from outbox.store.discard import discard_some

    yield writes.run(discard_some, filters, ids)


def _discard_some(engine: Engine, loaded: Loaded, wanted: Sequence[IdPrefix], state: State, how: How) -> int:
    """Of several ids those that can be are discarded, in one transaction."""
    from outbox.render import line
    from outbox.store.discard import discard as give_up
    from outbox.store.transactions import Transactions

    ids, errors = the_ones(engine, wanted)
    put_on_record(loaded.settings, "outbox discard", ids, how.reason)
    with closing(Transactions(engine)) as transactions:
        found = transactions.run(give_up, ids, state)
    for each in ids:
        if found[each].discarded:
            line(f"{each} is discarded")
        else:
            errors.append(_refusal(each, found[each], state))
    return complain(errors)


def _refusal(message_id: UUID, found: Found, state: State) -> OutboxError:
    if found.state is None:  # purged since it was looked up
        return MessageNotFound(f"No message has the id {message_id}")
    if found.state is State.DELIVERED:
        return WrongState(f"{message_id} is delivered", hint="There is nothing to give up.")
    if found.state is State.FAILED:
        return WrongState(f"{message_id} is failed", hint="Without --state pending it is discarded.")
    if state is State.PENDING:
        hint = "What it does with it is on record soon; `outbox pause` keeps workers from taking more."
        return WrongState(f"{message_id} is held by a worker", hint=hint)
    return WrongState(f"{message_id} is pending", hint="With --state pending it is discarded before it is sent.")
