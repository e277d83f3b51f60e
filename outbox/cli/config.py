"""`outbox config`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import click

from outbox.cli.options import settings_options
from outbox.errors import ConfigurationError
from outbox.settings import Loaded, Settings, unknown_variables, variable


class _Shown(NamedTuple):
    name: str
    variable: str
    value: str | None
    origin: str


@click.group()
def config() -> None:
    """Show the settings and where they come from."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@settings_options(*Settings.readings())
def show(*, loaded: Loaded, as_json: bool) -> None:
    """Show every setting: its value, and where that comes from.

    Passwords are hidden. A flag given here shows what it would change.
    """
    from outbox.render import Column, line, out, table, to_json

    rows = list(_shown(loaded))
    if as_json:
        out(to_json(rows, indent=2) + "\n")
    else:
        columns = (Column("SETTING"), Column("VALUE"), Column("FROM"))
        table(columns, [(row.variable, "not set" if row.value is None else row.value, row.origin) for row in rows])
    for warning in unknown_variables():
        line(f"outbox: warning: {warning}", err=True)


def _shown(loaded: Loaded) -> Iterator[_Shown]:
    for name, reading in Settings.readings().items():
        value = getattr(loaded.settings, name)
        shown = None if value is None or value == () else _HIDDEN.get(name, reading.show)(value)
        yield _Shown(name, variable(name), shown, loaded.origins.get(name, "default"))


def _database(text: str) -> str:
    """The URL that is opened: a file's path is absolute, the password hidden."""
    from outbox.store.url import shown_url, synchronous_url

    try:
        return shown_url(synchronous_url(text))
    except ConfigurationError as error:
        return f"unusable: {error}"


def _endpoint(text: str) -> str:
    return re.sub(r"(?<=://)[^/?#]*@", "***@", text)


_HIDDEN = {"database_url": _database, "endpoint": _endpoint}
"""Settings that may hold a password, and how they are shown without it."""
