"""`outbox status`."""

from __future__ import annotations

import click

from outbox.cli.options import settings_options
from outbox.settings import Loaded
from outbox.settings.values import duration


class _Interval(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """How long to wait between two looks."""

    name = "interval"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read `5s` as seconds."""
        try:
            seconds = duration(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        if not 0.1 <= seconds <= 86400:
            self.fail(f"{value!r}: expected 100ms to 1d", param, ctx)
        return seconds


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option(
    "--watch",
    "interval",
    is_flag=False,
    flag_value="2s",
    type=_Interval(),
    metavar="[INTERVAL]",
    help="Look again every 2s, or so often, until Ctrl-C. On a terminal only.",
)
@settings_options("database_url")
def status(*, loaded: Loaded, as_json: bool, interval: float | None) -> None:
    """Say how the outbox stands: a verdict in words, then counts, pauses, workers, and the most frequent errors.

    `pending` is the sum of `due`, `claimed` and `scheduled`. In a big table `delivered` is the database's own estimate;
    the JSON object then says `"delivered_estimated": true`. In a big backlog MariaDB and MySQL do not count
    `claimed` and `retrying`: null. Takes no lock that a worker waits for.
    """
    from outbox.render import is_terminal
    from outbox.render.watch import watch

    if interval is None:
        _show(loaded, as_json=as_json)
        return
    if as_json:
        msg = "--watch and --json exclude each other"
        raise click.UsageError(msg)
    if not is_terminal():
        msg = "--watch is for a terminal: here run `outbox status` or `outbox check` as often as needed"
        raise click.UsageError(msg)
    watch(lambda: _show(loaded), interval)


def _show(loaded: Loaded, *, as_json: bool = False) -> None:
    """Look once, over a connection of its own: a server may come back between two looks."""
    from outbox.render import line, to_json
    from outbox.render.standing import show_standing, standing_json
    from outbox.store.look import standing
    from outbox.store.opened import opened
    from outbox.store.url import shown_url

    with opened(loaded.settings.database_url) as engine:
        with engine.connect() as connection:
            stands = standing(connection, tuple(loaded.settings.destinations))
        if as_json:
            line(to_json(standing_json(stands)))
        else:
            show_standing(stands, shown_url(engine.url))
