"""`outbox pause` and `outbox resume`."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from outbox.cli.audit import who
from outbox.cli.filters import FilterText
from outbox.cli.options import settings_options
from outbox.errors import did_you_mean
from outbox.settings import Loaded, Settings
from outbox.settings.values import CENTURY, positive_duration

if TYPE_CHECKING:
    from outbox.store.engine import Engine


class _DurationType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """A length of time above zero, such as `2h`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it, or say what was expected."""
        try:
            seconds = positive_duration(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        if seconds > CENTURY:
            self.fail(f"{value!r}: expected less than a century; without --for it lasts until resumed", param, ctx)
        return seconds


_DESTINATION = click.argument("destination", type=FilterText(), default="overcentric", metavar="[DESTINATION]")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.command()
@_DESTINATION
@click.option("--for", "seconds", type=_DurationType(), metavar="DURATION", help="How long: 30m, 2h, 7d.")
@click.option("--reason", type=FilterText(), required=True, metavar="TEXT", help="For whoever reads `outbox status`.")
@_JSON
@settings_options("database_url")
def pause(*, loaded: Loaded, destination: str, seconds: float | None, reason: str, as_json: bool) -> None:
    """Send nothing to a destination, for a while or until `outbox resume`; without DESTINATION to overcentric.

    All workers heed it. What is in flight is finished; what is enqueued waits, and no attempt is charged. Who paused,
    when and why is recorded. It takes the place of a pause that is there.
    """
    from outbox.render import line, to_json
    from outbox.render.standing import sentence
    from outbox.store.look import Destination
    from outbox.store.opened import opened
    from outbox.store.pauses import operator_pause
    from outbox.store.transactions import Transactions

    with opened(loaded.settings.database_url) as engine:
        _require_known(engine, destination, loaded.settings)
        with closing(Transactions(engine)) as transactions:
            made = Destination.of(transactions.run(operator_pause, destination, reason, who(), seconds=seconds))
    line(to_json(made) if as_json else sentence(made))


@click.command()
@_DESTINATION
@_JSON
@settings_options("database_url")
def resume(*, loaded: Loaded, destination: str, as_json: bool) -> None:
    """End the pause of a destination, whoever made it, and say which one it was; without DESTINATION of overcentric.

    The workers begin slowly: their rate doubles each second. Where nothing was paused nothing changes: exit 0.
    """
    from outbox.render import line, to_json
    from outbox.render.standing import sentence
    from outbox.store.look import Destination
    from outbox.store.opened import opened
    from outbox.store.pauses import resume as end_pause
    from outbox.store.transactions import Transactions

    with opened(loaded.settings.database_url) as engine:
        _require_known(engine, destination, loaded.settings)
        with closing(Transactions(engine)) as transactions:
            ended = Destination.of(transactions.run(end_pause, destination))
    if as_json:
        line(to_json({"name": destination, "ended": None if ended.cause is None else ended}))
    elif ended.cause is None:
        line(f"{destination} was not paused")
    else:
        line(f"{destination} is resumed. Until now: {sentence(ended)}")


def _require_known(engine: Engine, name: str, settings: Settings) -> None:
    """Refuse a name that was mistyped: its pause would pause nothing."""
    from outbox.store.look import is_known

    if name in settings.destinations:
        return
    with engine.connect() as connection:
        if is_known(connection, name):
            return
    meant = did_you_mean(name, settings.destinations)
    msg = f"No destination is called {name!r}{meant}: none is configured here by that name, and no message is for it"
    raise click.UsageError(msg)
