"""`outbox config`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import click

from outbox.cli.options import settings_options
from outbox.errors import ConfigurationError
from outbox.settings import Loaded, Settings, unknown_variables, variable
from outbox.settings.destinations import OWN, SHARED, own_variable


class _Shown(NamedTuple):
    name: str
    variable: str
    value: str | None
    origin: str


@click.group()
def config() -> None:
    """Show the settings, where they come from, and what they make of answers."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@settings_options(*Settings.readings())
def show(*, loaded: Loaded, as_json: bool) -> None:
    """Show every setting: its value, and where that comes from.

    Passwords, secrets and the values of headers are hidden. A flag given here shows what it would change.
    """
    from outbox.render import Column, line, out, table, to_json

    rows = [*_shown(loaded), *_shown_destinations(loaded)]
    if as_json:
        out(to_json(rows, indent=2) + "\n")
    else:
        columns = (Column("SETTING"), Column("VALUE"), Column("FROM"))
        table(columns, [(row.variable, "not set" if row.value is None else row.value, row.origin) for row in rows])
    for warning in unknown_variables():
        line(f"outbox: warning: {warning}", err=True)


@config.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@settings_options("answers", "policy")
def policy(*, loaded: Loaded, as_json: bool) -> None:
    """Show what each answer and each error leads to; the first line that fits decides, a Retry-After before all.

    THEN is what becomes of the message, PARK the same with on_unknown="park". CHARGED says whether the attempt counts
    among those after which it is given up. DESTINATION: messages in a row that find it failing or refused pause it.
    """
    from outbox.policy import Policy, explained
    from outbox.render import Column, out, table, to_json

    lines = list(explained(Policy.of(loaded.settings)))
    if as_json:
        out(to_json(lines, indent=2) + "\n")
    else:
        titles = ("ANSWER", "THEN", "PARK", "CERTAINTY", "CHARGED", "DESTINATION", "WHY")
        table([Column(title) for title in titles], lines)


@config.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@settings_options("retry_schedule", "max_attempts", "policy")
def schedule(*, loaded: Loaded, as_json: bool) -> None:
    """Show when each attempt at a message comes that never succeeds, and when it is given up.

    Counted from when the message was first due. What an attempt itself takes, and pauses, come on top.
    """
    from outbox.policy import Policy, times
    from outbox.render import out, to_json
    from outbox.render.schedule import show_times

    found = times(Policy.of(loaded.settings))
    if as_json:
        out(to_json(found, indent=2) + "\n")
    else:
        show_times(found)


def _shown(loaded: Loaded) -> Iterator[_Shown]:
    for name, reading in Settings.readings().items():
        value = getattr(loaded.settings, name)
        shown = None if value is None or value == () else _HIDDEN.get(name, reading.show)(value)
        yield _Shown(name, variable(name), shown, loaded.origins.get(name, "default"))


def _shown_destinations(loaded: Loaded) -> Iterator[_Shown]:
    """The settings of each destination but overcentric, whose settings are the outbox's own."""
    for name in loaded.settings.own:
        settings = loaded.settings.destinations[name]
        for setting, reading in OWN.items():
            value = getattr(settings, setting)
            key = f"destinations.{name}.{setting}"
            shared = loaded.origins.get(setting, "default") if setting in SHARED else "default"
            yield _Shown(
                key,
                own_variable(name, setting),
                reading.show(value) if value else None,
                loaded.origins.get(key, shared),
            )


def _database(text: str) -> str:
    """The URL that is opened: a file's path is absolute, the password hidden."""
    from outbox.store.url import shown_url, synchronous_url

    try:
        return shown_url(synchronous_url(text))
    except ConfigurationError as error:
        return f"unusable: {error}"


_HIDDEN = {"database_url": _database}
"""A setting that may hold a password, and how it is shown without it."""
