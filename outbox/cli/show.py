"""`outbox show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from outbox.cli.ids import IdType, the_one
from outbox.cli.options import settings_options
from outbox.errors import ConfigurationError
from outbox.settings import Loaded, Settings
from outbox.settings.destinations import own_variable

if TYPE_CHECKING:
    from outbox.store.look import IdPrefix, Shown


@click.command()
@click.argument("wanted", type=IdType(), metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with `body` and `attempts_log`.")
@click.option("--curl", "as_curl", is_flag=True, help="A curl command that repeats the request, without its secrets.")
@settings_options("database_url")
def show(*, loaded: Loaded, wanted: IdPrefix, as_json: bool, as_curl: bool) -> None:
    """Show one message, its body and its attempts.

    ID is a message's id or the beginning of it, such as 0199f0c2-7a5e, where it is unambiguous: the first 8 digits are
    alike for about a minute. In the JSON object `body` is the body as the JSON that it is, or null with `body_wiped` where
    nothing is left of it. The body is personal data: this is the one look that shows it.
    """
    from outbox.render.messages import show_message
    from outbox.store.look import database_now, matching_ids, shown
    from outbox.store.opened import opened

    if as_json and as_curl:
        msg = "--json and --curl exclude each other"
        raise click.UsageError(msg)
    with opened(loaded.settings.database_url) as engine, engine.connect() as connection:
        with connection.begin():
            one = the_one(wanted, matching_ids(connection, wanted))
            found = shown(connection, one)
        if found is None:  # purged between the two statements
            the_one(wanted, [])
        elif as_json:
            _write(found)
        elif as_curl:
            _write_curl(found, loaded.settings)
        else:
            show_message(found, database_now(connection))


def _write(found: Shown) -> None:
    from outbox.render import out, to_json
    from outbox.render.messages import is_wiped, parsed_body

    body = found.details.body
    details = found.details._asdict() | {"body": parsed_body(body), "body_wiped": is_wiped(body)}
    out(to_json(found.summary._asdict() | details | {"attempts_log": found.attempts_log}, indent=2) + "\n")


def _write_curl(found: Shown, settings: Settings) -> None:
    """The command alone goes to standard output, so that it can be copied and piped."""
    from outbox.render import line, out
    from outbox.render.curl import curl

    name = found.summary.destination
    if name not in settings.destinations:
        msg = f"The message is for {name}, which is not configured here"
        raise ConfigurationError(msg, hint=f"Set {own_variable(name, 'url')}.")
    made = curl(found, settings.destinations[name])
    out(f"{made.command}\n")
    for note in made.notes:
        line(f"outbox: {note}", err=True)
