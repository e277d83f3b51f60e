"""`outbox forget`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from outbox.cli.audit import logger, who
from outbox.cli.filters import FilterText
from outbox.cli.options import settings_options
from outbox.errors import TryLater
from outbox.message import State
from outbox.settings import Loaded

if TYPE_CHECKING:
    from outbox.event.identities import Identities
    from outbox.store.engine import Engine
    from outbox.store.forget import Erased, Traces

WAIT_SECONDS = 15.0
"""How long to wait for what workers have in hand: longer than a try may take by default."""


@click.command()
@click.option(
    "--identity",
    "given",
    type=FilterText(),
    multiple=True,
    required=True,
    metavar="TEXT",
    help="Who: a user's id, an e-mail address. Repeat it for others of the same person.",
)
@click.option("--reason", type=FilterText(), metavar="TEXT", help="For the log, such as the number of a request.")
@click.option("--dry-run", is_flag=True, help="Only show what would be erased.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@settings_options("database_url", "log_format")
def forget(
    *, loaded: Loaded, given: tuple[str, ...], reason: str | None, dry_run: bool, yes: bool, as_json: bool
) -> int:
    """Erase a person's data: bodies, ordering keys, errors and answers of messages in every state, and dedup keys.

    The messages stay, without them. A pending one is not sent: it ends as failed (`discarded`). One that a worker is sending
    is waited for; if that takes too long the exit code is 75, and the command is to be run again.
    """
    from outbox.event.identities import Identities
    from outbox.render import line
    from outbox.store.opened import opened

    person = Identities(given)
    if reason is not None and person.are_told(reason):
        msg = "--reason names the identity, which must not come into the log"
        raise click.UsageError(msg)
    _require_answer(given=dry_run or yes)
    with opened(loaded.settings.database_url) as engine:
        traces = _search(engine, person)
        if dry_run:
            _show(traces, as_json=as_json)
            return 0
        if not yes and traces:
            line(_counted(_found(traces)), err=as_json)
            if not click.confirm("Erase it for good?", err=as_json):
                return 1
        erased = _erase(engine, person, traces, loaded, reason)
    _tell(erased, as_json=as_json)
    if erased.held:
        msg = f"Not erased: {len(erased.held)} that a worker has in hand"
        raise TryLater(msg, hint="Run it again in a minute.")
    return 0


def _require_answer(*, given: bool) -> None:
    """See that somebody can be asked, where the call has not answered."""
    from outbox.render import is_terminal

    if not (given or (is_terminal() and sys.stdin.isatty())):
        msg = "Nobody can be asked here: add --yes, or --dry-run to look"
        raise click.UsageError(msg)


def _search(engine: Engine, person: Identities) -> Traces:
    from outbox.render.progress import progress
    from outbox.store.forget import search
    from outbox.store.transactions import Transactions

    with closing(Transactions(engine, writes=False)) as looks, progress("Looking") as advance:
        return search(looks, person, advance)


def _erase(engine: Engine, person: Identities, traces: Traces, loaded: Loaded, reason: str | None) -> Erased:
    """Erase, and write one line into the log, whatever happens: who, when, how much; not whom."""
    from outbox.render.logs import configure_logging
    from outbox.store.forget import Erased, erase_all
    from outbox.store.transactions import Transactions

    configure_logging(loaded.settings)
    logger.setLevel(logging.INFO)  # whatever OUTBOX_LOG_LEVEL is
    erased = Erased()
    try:
        with closing(Transactions(engine)) as writes:
            erase_all(writes, person, traces, erased, wait=WAIT_SECONDS)
    finally:
        logger.info("%s erased a person's data: %s; reason: %s", who(), _counted(_done(erased)), reason or "not given")
    return erased


def _found(traces: Traces) -> dict[str, int]:
    states = [each.state for each in traces.messages]
    return _counts({state: states.count(state) for state in State}, len(traces.records), len(traces.keys))


def _done(erased: Erased) -> dict[str, int]:
    return _counts(erased.messages, erased.records, erased.keys)


def _counts(messages: Mapping[str, int], records: int, keys: int) -> dict[str, int]:
    return {state.value: messages.get(state, 0) for state in State} | {"records": records, "dedup_keys": keys}


def _counted(counts: Mapping[str, int]) -> str:
    pending, delivered, failed, records, keys = counts.values()
    return (
        f"{pending} pending, {delivered} delivered, {failed} failed; "
        f"{records} records of attempts at other messages; {keys} keys against duplicates"
    )


def _show(traces: Traces, *, as_json: bool) -> None:
    """Print what was found: ids, but nothing of what the messages say."""
    from outbox.render import Column, line, out, table, to_json

    if as_json:
        messages: list[dict[str, Any]] = [each._asdict() for each in traces.messages]
        out(to_json(_found(traces) | {"messages": messages}, indent=2) + "\n")
        return
    if traces.messages:
        table((Column("ID"), Column("STATE"), Column("NAME", least=20)), [tuple(each) for each in traces.messages])
    line(_counted(_found(traces)))


def _tell(erased: Erased, *, as_json: bool) -> None:
    from outbox.render import line, out, to_json

    if as_json:
        out(to_json(_done(erased) | {"held": erased.held}, indent=2) + "\n")
    else:
        line(f"erased {_counted(_done(erased))}")
