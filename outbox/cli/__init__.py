"""The `outbox` command: parse, build, call, print, exit. Each command's module is imported when it is called."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from outbox.errors import OutboxError
from outbox.render import line

# command -> module:attribute, one line of help. Kept here so that `outbox --help` imports none of them.
_COMMANDS = {
    "worker": ("outbox.cli.worker:worker", "Deliver what is pending, until stopped."),
    "status": ("outbox.cli.status:status", "Say how the outbox stands."),
    "list": ("outbox.cli.listing:list_messages", "List messages."),
    "failed": ("outbox.cli.listing:failed", "List failed messages, or count them by cause."),
    "show": ("outbox.cli.show:show", "Show one message, its body and its attempts."),
    "retry": ("outbox.cli.retry:retry", "Send failed messages again."),
    "enqueue": ("outbox.cli.enqueue:enqueue", "Put events from files into the outbox."),
    "db": ("outbox.cli.db:db", "Create and migrate the outbox's tables."),
    "config": ("outbox.cli.config:config", "Show the settings and where they come from."),
    "demo": ("outbox.cli.demo:demo", "Show the whole promise at work, on SQLite."),
    "fake-server": ("outbox.cli.fake_server:fake_server", "Run a scripted Event API on this machine."),
    "version": ("outbox.cli.version:version", "Print the version."),
}

# A group called without a command: its text is the help. Older releases of click print it themselves.
_HELP: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())


class _Commands(click.Group):
    """A group that knows its commands by name and imports one when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the commands in the order of their use."""
        return [*_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def outbox() -> None:
    """Run and look after a transactional outbox.

    Settings come from flags, OUTBOX_* variables, or the file that --config or OUTBOX_CONFIG names;
    `outbox config show` lists them and where each comes from.
    """


def main() -> None:
    """Run the command; an error of ours is one line on stderr and its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code. What went wrong is one line, safe for a terminal."""
    try:
        result: Any = outbox.main(arguments, prog_name="outbox", standalone_mode=False)
    except (OutboxError, click.ClickException) as error:
        _complain(error)
        return int(error.exit_code)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.Abort:
        line("outbox: interrupted", err=True)
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; Python would complain again when it flushes stdout.
        sys.stdout = None
        return 0
    return result if isinstance(result, int) else 0


def _complain(error: OutboxError | click.ClickException) -> None:
    """Say what is wrong, and for a mistake in the call where the right one is described."""
    if isinstance(error, _HELP):
        click.echo(error, err=True)
        return
    text = str(error)
    if isinstance(error, click.ClickException):
        text = error.format_message().rstrip(".")
    if isinstance(error, click.UsageError) and error.ctx:
        text = f"{text}. See: {error.ctx.command_path} --help"
    line(f"outbox: {text}", err=True)
