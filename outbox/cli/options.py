"""Options that are settings: `--database-url` is OUTBOX_DATABASE_URL, and so for each. What several commands take."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from outbox.settings import Loaded, Settings, load, variable
from outbox.settings.values import CENTURY, positive_duration


class DurationType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """A length of time above zero, such as `30s`; what is beyond a century is one."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it, or say what was expected."""
        try:
            return min(positive_duration(str(value)), CENTURY)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class _SettingType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """A value as the setting's own reading has it."""

    def __init__(self, name: str) -> None:
        self.reading = Settings.readings()[name]
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse, or say what was expected."""
        try:
            return self.reading.parse(value)
        except ValueError as error:
            self.fail(f"{error}" if self.reading.secret else f"{value!r}: {error}", param, ctx)


def settings_options(*names: str, alone: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add `--config` and an option for each named setting; the command gets one `loaded: Loaded`.

    `alone`: no other setting is read, for a command that must not stumble over one.
    """
    reads: dict[str, Any] = {"only": names, "own": ()} if alone else {}

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def build(*args: Any, config: str | None, **options: Any) -> Any:
            flags = {name: options.pop(name) for name in names}
            loaded: Loaded = load(flags, config=config, **reads)
            return command(*args, loaded=loaded, **options)

        wrapped: Callable[..., Any] = build
        for name in reversed(names):
            help_text = f"{Settings.readings()[name].doc}  [{variable(name)}]"
            option = f"--{name.replace('_', '-')}"
            wrapped = click.option(option, name, type=_SettingType(name), metavar="VALUE", help=help_text)(wrapped)
        return click.option("--config", metavar="FILE", help="TOML file with settings.  [OUTBOX_CONFIG]")(wrapped)

    return decorate
