"""`outbox worker`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from outbox.cli.options import settings_options
from outbox.errors import ConfigurationError
from outbox.render.progress import progress
from outbox.service import configure_logging, run_worker
from outbox.settings import Loaded, unknown_variables
from outbox.worker import Mode


@click.command()
@click.option("--drain", is_flag=True, help="End once nothing is due and nothing is leased to others.")
@click.option("--once", is_flag=True, help="End after one round: claim, send, settle.")
@settings_options(
    "database_url", "endpoint", "concurrency", "rate", "lease", "try_timeout", "drain_timeout", "retry_schedule",
    "max_attempts", "delivery", "log_level", "log_format", "heartbeat_file", "metrics_port", "metrics_host",
)  # fmt: skip
def worker(*, loaded: Loaded, drain: bool, once: bool) -> None:
    """Deliver what is pending, until stopped.

    SIGTERM or Ctrl-C finishes what is in flight and gives back the rest; a second one ends at once.
    """
    if drain and once:
        msg = "--drain and --once exclude each other"
        raise click.UsageError(msg)
    _require_database(loaded)
    configure_logging(loaded.settings)
    for sentence in unknown_variables():
        click.echo(f"outbox: {sentence}", err=True)
    if drain:
        with progress("Delivering") as advance:
            run_worker(loaded.settings, Mode.DRAIN, lambda counts: advance(counts.settled, counts.due))
    else:
        run_worker(loaded.settings, Mode.ONCE if once else Mode.FOREVER)


def _require_database(loaded: Loaded) -> None:
    """A service must not quietly open an empty file in whatever directory it was started."""
    if "database_url" not in loaded.origins and not sys.stderr.isatty():
        msg = f"OUTBOX_DATABASE_URL is not set, and the default would be a file in {Path.cwd()}"
        raise ConfigurationError(msg, hint="Set OUTBOX_DATABASE_URL to the application's database.")
