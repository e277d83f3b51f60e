"""`outbox health`: run every few seconds by whatever supervises a worker, so it imports no database and no worker."""

from __future__ import annotations

import time
from pathlib import Path

import click

from outbox.cli.options import DurationType, settings_options
from outbox.clock import DEAD_AFTER_SECONDS
from outbox.errors import ConfigurationError
from outbox.render import line
from outbox.settings import Loaded
from outbox.settings.values import show_duration


@click.command()
@click.option(
    "--max-age",
    type=DurationType(),
    default=show_duration(DEAD_AFTER_SECONDS),
    show_default=True,
    metavar="DURATION",
    help="How long ago a worker that is well may have come round.",
)
@settings_options("heartbeat_file", alone=True)
def health(*, loaded: Loaded, max_age: float) -> int:
    """Say whether a worker still goes round, by its heartbeat file: exit 0, or 1 with the reason.

    A worker that waits for its database is well. One that is frozen, or whose rounds do not end any more, is not.
    """
    path = loaded.settings.heartbeat_file
    if path is None:
        msg = "OUTBOX_HEARTBEAT_FILE is not set, so there is nothing to look at"
        raise ConfigurationError(msg, hint="Set it alike for the worker and for this command.")
    trouble = _trouble(path, max_age)
    line(f"unhealthy: {trouble}" if trouble else "healthy")
    return 1 if trouble else 0


def _trouble(path: str, max_age: float) -> str | None:
    try:
        age = time.time() - Path(path).stat().st_mtime
    except FileNotFoundError:
        return f"no worker writes {path}: none has begun, or the last one has ended"
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    if age > max_age:
        return f"the worker came round {age:.0f} s ago, and not since"
    # A clock that was set back must not let a frozen worker seem well until the time has come again.
    return f"{path} is of a time {-age:.0f} s in the future" if age < -max_age else None
