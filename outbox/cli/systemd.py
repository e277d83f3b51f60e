"""`outbox systemd`: units of the service manager that run workers."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outbox.cli.options import settings_options
from outbox.errors import OutboxError
from outbox.settings import Loaded

if TYPE_CHECKING:
    from outbox.service.systemd.files import Place
    from outbox.service.systemd.units import Plan, SqliteFile


class _PathType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """A path, made absolute, that can stand in a unit."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Refuse what would not stay one line."""
        path = Path(str(value)).expanduser().absolute()
        if not str(path).isprintable() or "?" in str(path):
            self.fail("it holds characters that cannot stand in a unit", param, ctx)
        return path


class _UserType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """The name, or the number, of a user of this machine or of another."""

    name = "user"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no user is called."""
        if not re.fullmatch(r"\w[\w.-]{0,30}\$?", str(value), re.ASCII):
            self.fail(f"{value!r} is no user's name", param, ctx)
        return str(value)


@click.group()
def systemd() -> None:
    """Run workers as services of systemd.

    The units are outbox-worker@.service, of which each instance is a worker, and outbox-workers.target for all of them.
    """


def _unit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what decides on the units; the command gets `plan` and `place`."""

    @functools.wraps(command)
    def build(*, loaded: Loaded, user: bool, workers: int, root: Path, **options: Any) -> Any:
        from outbox.service.systemd.files import Place

        plan = _plan(loaded, workers, _sqlite(options.pop("sqlite"), options.pop("run_as"), user=user))
        return command(plan=plan, place=Place.of(root, user=user), user=user, **options)

    wrapped: Callable[..., Any] = build
    for option in reversed(
        (
            click.option("--user", is_flag=True, help="For your own service manager, without root."),
            click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 1000), metavar="N",
                         help="How many the target starts."),
            click.option("--sqlite", type=_PathType(), metavar="PATH", help="Deliver from this SQLite file."),
            click.option("--run-as", type=_UserType(), metavar="NAME", help="User of the workers, with --sqlite; by default the file's owner."),
            click.option("--root", type=_PathType(), default="/", metavar="DIR", help="As if DIR were /, for packages and images."),
        )
    ):  # fmt: skip
        wrapped = option(wrapped)
    return settings_options("drain_timeout")(wrapped)


@systemd.command("print")
@_unit_options
def print_units(*, plan: Plan, place: Place, user: bool) -> None:
    """Print the units, and touch nothing."""
    from outbox.render import out

    texts = [f"# {place.units / name}\n{text}" for name, text in _units(plan, user=user).items()]
    out("\n".join(texts))


@systemd.command()
@_unit_options
@click.option("--force", is_flag=True, help="Overwrite units that differ.")
def install(*, plan: Plan, place: Place, user: bool, force: bool) -> None:
    """Write the units, make the folder for secrets, and say what to do next.

    Units that are there and differ are left alone without --force. It starts nothing.
    """
    from outbox.render import line

    if not user and place.is_here:
        _require_readable(plan)
    units = _units(plan, user=user)
    for path, changed in place.write(units, force=force):
        line(f"{'wrote' if changed else 'unchanged'} {path}")
    if place.make_credentials():
        line(f"made {place.credentials}")
    if (left := place.left_over(units)) is not None:
        line(f"outbox: {left} is still in force; remove it if the workers no longer use that file", err=True)
    for each in _next(plan, place, user=user):
        line(each)


def _units(plan: Plan, *, user: bool) -> dict[str, str]:
    from outbox.service.systemd.units import system_units, user_units

    return user_units(plan) if user else system_units(plan)


def _plan(loaded: Loaded, workers: int, sqlite: SqliteFile | None) -> Plan:
    import sys

    from outbox.service.limits import longest_stop
    from outbox.service.systemd.units import Plan, is_at_home
    from outbox.settings.values import show_duration

    settings = loaded.settings
    script = Path(sys.executable).with_name("outbox")
    return Plan(
        command=(str(script),) if script.exists() else (sys.executable, "-P", "-m", "outbox"),
        workers=workers,
        stop_seconds=longest_stop(settings),
        drain_timeout=show_duration(settings.drain_timeout) if "drain_timeout" in loaded.origins else None,
        at_home=any(map(is_at_home, _installation())),
        sqlite=sqlite,
    )


def _installation() -> list[Path]:
    """The folders that a worker is read from."""
    import sys

    import outbox

    return [Path(each).resolve() for each in (sys.prefix, sys.base_prefix, Path(outbox.__file__).parent)]


def _sqlite(path: Path | None, run_as: str | None, *, user: bool) -> SqliteFile | None:
    from outbox.service.systemd.units import SqliteFile

    if path is None:
        if run_as is not None:
            msg = "--run-as goes with --sqlite: other databases are reached as a user that systemd makes"
            raise click.UsageError(msg)
        return None
    if user and run_as is not None:
        msg = "--run-as and --user exclude each other"
        raise click.UsageError(msg)
    return SqliteFile(path, None if user else run_as or _owner(path))


def _owner(path: Path) -> str:
    """Who owns the file, or the folder that it will be in."""
    there = path if path.exists() else path.parent
    try:
        name = there.owner()
    except (OSError, KeyError) as error:
        msg = f"{there} has no owner that can be named"
        raise OutboxError(msg, hint="Name the application's user: --run-as NAME.") from error
    if name == "root":
        msg = f"{there} belongs to root, and a worker should not be root"
        raise OutboxError(msg, hint="Name the application's user: --run-as NAME.")
    return name


def _require_readable(plan: Plan) -> None:
    """Raise `OutboxError` where the workers could not read this program, or reach the file."""
    from outbox.service.systemd.files import closed, is_private

    places = _installation()
    if plan.sqlite is not None:
        places.append(plan.sqlite.path)
    for place in filter(is_private, places):
        msg = f"The workers could not see {place}: a service has a /tmp of its own"
        raise OutboxError(msg, hint="Put it elsewhere; programs for all belong in /opt.")
    shut = [] if plan.sqlite is not None else [folder for folder in map(closed, places) if folder is not None]
    if shut:
        msg = f"The workers' user could not read this program: {shut[0]} is closed to others"
        hint = "Install it where all can read it, such as a virtual environment in /opt, and run this from there."
        raise OutboxError(msg, hint=hint)


def _next(plan: Plan, place: Place, *, user: bool) -> list[str]:
    """What to do next, as commands."""
    from outbox.service.systemd.units import TARGET

    systemctl = "systemctl --user" if user else "systemctl"
    secret = place.credentials / "database_url"
    write = (
        []
        if plan.sqlite or secret.exists()
        else [f"  install -m 600 /dev/stdin {secret}  # the database's URL, then Ctrl-D"]
    )
    return ["Next:", *write, f"  {systemctl} daemon-reload", f"  {systemctl} enable --now {TARGET}"]
