"""`outbox status`."""

from __future__ import annotations

import click

from outbox.cli.options import settings_options
from outbox.settings import Loaded


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@settings_options("database_url")
def status(*, loaded: Loaded, as_json: bool) -> None:
    """Say how the outbox stands: a verdict in words, then counts and pauses.

    `pending` is the sum of `due`, `claimed` and `scheduled`. In a big table `delivered` is the database's own estimate;
    the JSON object then says `"delivered_estimated": true`.
    """
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
