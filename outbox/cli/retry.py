"""`outbox retry`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import click

from outbox.cli.ids import IdType, the_one
from outbox.cli.options import settings_options
from outbox.errors import MessageNotFound, OutboxError, WrongState
from outbox.message import State
from outbox.settings import Loaded

if TYPE_CHECKING:
    from outbox.store.look import IdPrefix


@click.command()
@click.argument("wanted", type=IdType(), nargs=-1, required=True, metavar="ID...")
@settings_options("database_url")
def retry(*, loaded: Loaded, wanted: tuple[IdPrefix, ...]) -> int:
    """Send failed messages again: same id, same bytes, same idempotency key, a fresh schedule of attempts.

    Only failed messages: a pending one is on its way, and a delivered one would be a duplicate. Of several ids those
    that can be are sent again, in one transaction; the exit code is that of the worst.
    """
    from outbox.render import line
    from outbox.store.look import matching_ids
    from outbox.store.opened import opened
    from outbox.store.retry import retry as send_again
    from outbox.store.transactions import Transactions

    with opened(loaded.settings.database_url) as engine:
        with engine.connect() as connection:
            matches = [(each, matching_ids(connection, each)) for each in wanted]
        ids, errors = _sort_out(matches)
        transactions = Transactions(engine)
        try:
            found = transactions.run(send_again, ids)
        finally:
            transactions.close()
    for each in ids:
        if found[each] is State.FAILED:
            line(f"{each} is pending again, due now")
        else:
            errors.append(_refusal(each, found[each]))
    for error in errors:
        line(f"outbox: {error}", err=True)
    return max((error.exit_code for error in errors), default=0)


def _sort_out(matches: list[tuple[IdPrefix, list[UUID]]]) -> tuple[list[UUID], list[OutboxError]]:
    """The ids, each once, and an error for each that is unknown; an ambiguous one stops everything."""
    ids: dict[UUID, None] = {}
    errors: list[OutboxError] = []
    for prefix, found in matches:
        try:
            ids[the_one(prefix, found)] = None
        except MessageNotFound as error:
            errors.append(error)
    return list(ids), errors


def _refusal(message_id: UUID, state: State | None) -> OutboxError:
    if state is None:  # purged since it was looked up
        return MessageNotFound(f"No message has the id {message_id}")
    if state is State.PENDING:
        return WrongState(f"{message_id} is pending already", hint="A worker sends it when it is due.")
    return WrongState(f"{message_id} is delivered", hint="Sending it again would make a duplicate.")
