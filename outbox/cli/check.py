"""`outbox check`."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import click

from outbox.cli.options import DurationType, settings_options
from outbox.errors import OutboxError
from outbox.settings import Loaded
from outbox.settings.values import count, duration

if TYPE_CHECKING:
    from outbox.render.nagios import Thresholds


class _Plugin(click.Command):
    """A command whose every failure is UNKNOWN: another exit code would be taken for a verdict."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            _unknown(ctx, error)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Exception as error:  # noqa: BLE001 - also a fault of ours says nothing of the outbox
            _unknown(ctx, error)


def _unknown(ctx: click.Context, error: Exception) -> NoReturn:
    from outbox.render import line
    from outbox.render.nagios import Level, unknown

    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    if not isinstance(error, (click.ClickException, OutboxError)):
        text = f"{type(error).__name__}: {text}"
    with contextlib.suppress(OutboxError, OSError):  # nobody can be told
        line(unknown(text))
    ctx.exit(Level.UNKNOWN)


class _Limit(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """A threshold, or `none`, which is never reached."""

    def __init__(self, name: str, parse: Callable[[str], float]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        text = str(value).strip().lower()
        try:
            return math.inf if text == "none" else self._parse(text)
        except ValueError as error:
            self.fail(f"{value!r}: {error}, or none", param, ctx)


_AGE = _Limit("age", duration)
_COUNT = _Limit("count", count)


@click.command(cls=_Plugin)
@click.option("--warn", type=_AGE, default="2m", show_default=True, metavar="AGE", help="Oldest due message, WARNING.")
@click.option("--crit", type=_AGE, default="10m", show_default=True, metavar="AGE", help="The same, CRITICAL.")
@click.option(
    "--failed-warn", type=_COUNT, default="0", show_default=True, metavar="COUNT", help="Failed messages, WARNING."
)
@click.option(
    "--failed-crit", type=_COUNT, default="100", show_default=True, metavar="COUNT", help="The same, CRITICAL."
)
@click.option("--failed-since", type=DurationType(), metavar="DURATION", help="Count those that failed in the last 1h.")
@click.option(
    "--workers",
    type=click.IntRange(0, 10_000),
    default=1,
    show_default=True,
    help="Workers that must be running; fewer are CRITICAL. 0 where they are started by a timer.",
)
@click.option(
    "--timeout",
    type=DurationType(),
    default="10s",
    show_default=True,
    metavar="DURATION",
    help="How long the database may take for an answer.",
)
@settings_options("database_url")
def check(*, loaded: Loaded, timeout: float, **options: Any) -> int:
    """Say whether all is well, as a plugin for Nagios, Icinga and the like: a line, performance data, an exit code.

    A value above its threshold raises the alarm; `none` is never reached. Exit codes are not those of the other
    commands: 0 is OK, 1 WARNING, 2 CRITICAL, and 3 is UNKNOWN, whatever went wrong.
    """
    from outbox.render import out
    from outbox.render.nagios import judged
    from outbox.store.look import health
    from outbox.store.opened import opened

    wanted = _thresholds(**options)
    with opened(loaded.settings.database_url, answer=timeout) as engine, engine.connect() as connection:
        level, text = judged(health(connection, failed_since=wanted.failed_since), wanted)
    out(f"{text}\n")
    return level


def _thresholds(
    *, warn: float, crit: float, failed_warn: float, failed_crit: float, failed_since: float | None, workers: int
) -> Thresholds:
    from outbox.render.nagios import Limits, Thresholds

    due, failed = Limits(warn, crit), Limits(failed_warn, failed_crit)
    for names, limits in (("--warn and --crit", due), ("--failed-warn and --failed-crit", failed)):
        if limits.crit < limits.warn < math.inf:
            msg = f"{names} are the wrong way round"
            raise click.UsageError(msg)
    return Thresholds(due, failed, failed_since, workers)
