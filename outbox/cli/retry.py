"""`outbox retry`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from outbox.cli.audit import put_on_record
from outbox.cli.bulk import Bulk, Change, How, bulk_options, change_many, exit_code, is_bulk, require_asking
from outbox.cli.filters import filter_options
from outbox.cli.ids import IdType, complain, the_ones
from outbox.cli.interrupts import Stop
from outbox.cli.options import settings_options
from outbox.errors import MessageNotFound, OutboxError, WrongState
from outbox.message import State
from outbox.render import age
from outbox.settings import Loaded
from outbox.settings.values import rate as read_rate
from outbox.settings.values import show_rate

if TYPE_CHECKING:
    from outbox.store.engine import Engine
    from outbox.store.look import Filters, IdPrefix
    from outbox.store.retry import Found
    from outbox.store.transactions import Transactions

_BURST = 0.1
"""Seconds of the rate that are released at once, of messages that have to wait for their turn here."""


class _RateType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """How many in a time."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read `10/s` as messages a second."""
        try:
            found = read_rate(str(value))
        except ValueError:
            found = None
        if found is None:
            self.fail(f"{value!r}: expected a number above zero and a unit, such as 10/s, 600/m or 100/h", param, ctx)
        return found


@click.command()
@click.argument("wanted", type=IdType(), nargs=-1, metavar="[ID...]")
@filter_options(state=State.FAILED)
@click.option("--rate", type=_RateType(), metavar="RATE", help="One after the other: 10/s. What is live goes first.")
@bulk_options
@settings_options("database_url")
def retry(*, loaded: Loaded, wanted: tuple[IdPrefix, ...], filters: Filters, rate: float | None, how: How) -> int:
    """Send failed messages again: same id, same bytes, same idempotency key, a fresh schedule of attempts.

    Those with the given ids, or all that match the filters. Only failed messages: a pending one is on its way, and a
    delivered one would be a duplicate. By a filter those that were discarded are left alone, unless --failure-reason
    asks for them; what fails again meanwhile is not sent twice.
    """
    from outbox.store.opened import opened

    bulk = is_bulk(wanted, filters, how)
    if bulk:
        require_asking(how)
    elif how.dry_run or rate:
        msg = "--dry-run and --rate are for many: they go with filters or --all"
        raise click.UsageError(msg)
    with opened(loaded.settings.database_url) as engine:
        if bulk:
            return _retry_many(engine, loaded, filters, rate, how)
        return _retry_some(engine, loaded, wanted, how)


def _retry_some(engine: Engine, loaded: Loaded, wanted: Sequence[IdPrefix], how: How) -> int:
    """Of several ids those that can be are sent again, in one transaction."""
    from outbox.render import line
    from outbox.store.retry import retry as send_again
    from outbox.store.transactions import Transactions

    ids, errors = the_ones(engine, wanted)
    put_on_record(loaded.settings, "outbox retry", ids, how.reason)
    with closing(Transactions(engine)) as transactions:
        found = transactions.run(send_again, ids)
    for each in ids:
        if found[each] is State.FAILED:
            line(f"{each} is pending again, due now")
        else:
            errors.append(_refusal(each, found[each]))
    return complain(errors)


def _refusal(message_id: UUID, found: Found) -> OutboxError:
    if found is None:  # purged since it was looked up
        return MessageNotFound(f"No message has the id {message_id}")
    if found == "erased":
        return WrongState(f"{message_id} has no body any more", hint="`outbox forget` has erased it.")
    if found is State.PENDING:
        return WrongState(f"{message_id} is pending already", hint="A worker sends it when it is due.")
    return WrongState(f"{message_id} is delivered", hint="Sending it again would make a duplicate.")


def _retry_many(engine: Engine, loaded: Loaded, filters: Filters, rate: float | None, how: How) -> int:
    from outbox.render import line
    from outbox.render.messages import plural

    pace = _Pace(rate) if rate else None
    bulk = Bulk(
        command=["outbox", "retry", *(["--rate", show_rate(rate)] if rate else [])],
        title="Sending again",
        question="Send them again?",
        passes=pace.passes if pace else lambda some: [(some, _due_now)],
    )
    wanted = replace(filters, undiscarded=filters.failure_reason is None)
    tally = change_many(engine, loaded.settings, bulk, wanted, how)
    if tally is None:
        return 0
    line(f"{plural(tally.done, 'message')} pending again, due now{pace.told() if pace else ''}")
    return exit_code(tally)


def _due_now(writes: Transactions, filters: Filters, ids: Sequence[str], _stop: Stop) -> Iterator[int]:
    from outbox.store.retry import retry_some

    yield writes.run(retry_some, filters, ids)


class _Pace:
    """Sends messages again one after the other; `outbox.store.retry` says why those with a key wait here."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._turn = 0.0
        self._next: datetime | None = None
        self._spread = 0

    def passes(self, filters: Filters) -> list[tuple[Filters, Change]]:
        """The messages with a key first: after them the command is done at once."""
        return [(replace(filters, keyed=True), self._in_turn), (replace(filters, keyed=False), self._ahead)]

    def told(self) -> str:
        """When the last one is due."""
        return (
            f" and, at {show_rate(self._rate)}, for the next {age(self._spread / self._rate)}" if self._spread else ""
        )

    def _in_turn(self, writes: Transactions, filters: Filters, ids: Sequence[str], stop: Stop) -> Iterator[int]:
        from outbox.store.retry import retry_some

        size = max(1, math.floor(self._rate * _BURST))
        for place in range(0, len(ids), size):
            some = ids[place : place + size]
            self._turn = max(self._turn, time.monotonic()) + len(some) / self._rate
            yield writes.run(retry_some, filters, some)
            if stop.wait(self._turn - time.monotonic()):
                return

    def _ahead(self, writes: Transactions, filters: Filters, ids: Sequence[str], _stop: Stop) -> Iterator[int]:
        from outbox.store.retry import retry_spread

        spread = writes.run(retry_spread, filters, ids, gap=1 / self._rate, start=self._next)
        self._next = spread.next
        self._spread += spread.changed
        yield spread.changed
