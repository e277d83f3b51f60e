"""The `outbox` command: parse, build, call, print, exit. Each command's module is imported when it is called."""

from __future__ import annotations

import atexit
import gc
import importlib
import sys
from typing import Any

import click
from click.shell_completion import CompletionItem

from outbox._version import __version__
from outbox.errors import OutboxError, did_you_mean
from outbox.render import line

# command -> module:attribute, one line of help. Kept here so that `outbox --help` imports none of them.
_COMMANDS = {
    "worker": ("outbox.cli.worker:worker", "Deliver what is pending, until stopped."),
    "health": ("outbox.cli.health:health", "Say whether a worker still goes round."),
    "status": ("outbox.cli.status:status", "Say how the outbox stands."),
    "check": ("outbox.cli.check:check", "Say whether all is well, as a monitoring plugin."),
    "list": ("outbox.cli.listing:list_messages", "List messages."),
    "failed": ("outbox.cli.listing:failed", "List failed messages, or count them by cause or day."),
    "show": ("outbox.cli.show:show", "Show one message, its body and its attempts."),
    "retry": ("outbox.cli.retry:retry", "Send failed messages again."),
    "discard": ("outbox.cli.discard:discard", "Give messages up for good."),
    "edit": ("outbox.cli.edit:edit", "Send failed messages with other bodies."),
    "purge": ("outbox.cli.purge:purge", "Remove messages that were settled long ago."),
    "forget": ("outbox.cli.forget:forget", "Erase a person's data."),
    "pause": ("outbox.cli.pauses:pause", "Send nothing to a destination for a while."),
    "resume": ("outbox.cli.pauses:resume", "End a pause."),
    "enqueue": ("outbox.cli.enqueue:enqueue", "Put events from files into the outbox."),
    "db": ("outbox.cli.db:db", "Create and migrate the outbox's tables."),
    "config": ("outbox.cli.config:config", "Show the settings and where they come from."),
    "send-test": ("outbox.cli.send_test:send_test", "Send a test event and show the answer."),
    "doctor": ("outbox.cli.doctor:doctor", "Look for what is wrong, and say what to do."),
    "systemd": ("outbox.cli.systemd:systemd", "Run workers as services of systemd."),
    "demo": ("outbox.cli.demo:demo", "Show the whole promise at work, on SQLite."),
    "fake-server": ("outbox.cli.fake_server:fake_server", "Run a scripted Event API on this machine."),
    "completion": ("outbox.cli.completion:completion", "Print a script that completes words in a shell."),
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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may be meant."""
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            ctx.fail(f"No such command {name!r}{did_you_mean(name, _COMMANDS)}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without importing any; options are click's matter."""
        names = [
            CompletionItem(name, help=text) for name, (_, text) in _COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def outbox() -> None:
    """Run and look after a transactional outbox.

    Settings come from flags, OUTBOX_* variables, or the file that --config or OUTBOX_CONFIG names;
    `outbox config show` lists them and where each comes from.
    """


def main() -> None:
    """Run the command; an error of ours is one line on stderr and its exit code."""
    # At its end Python would look through all that was imported for garbage: 0.3 s of a stop's half second (measured).
    atexit.register(gc.freeze)
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
    except OSError as error:  # a full disk behind what click itself prints, such as a help
        sys.stdout = None
        line(f"outbox: {error}", err=True)
        return 1
    return result if isinstance(result, int) else 0


def _complain(error: OutboxError | click.ClickException) -> None:
    """Say what is wrong, and for a mistake in the call where the right one is described."""
    if isinstance(error, _HELP):
        click.echo(error, err=True)
        return
    text = _usage(error) if isinstance(error, click.ClickException) else str(error)
    if isinstance(error, click.UsageError) and error.ctx:
        text = f"{text}. See: {error.ctx.command_path} --help"
    line(f"{_priority()}outbox: {text}", err=True)


def _priority() -> str:
    """What systemd's journal is told before an error, where it goes there: that it is one (sd-daemon(3))."""
    from outbox.settings.journal import reaches_journal

    return "<3>" if reaches_journal(2) else ""


def _usage(error: click.ClickException) -> str:
    """What click has to say, without its full stop, and what may be meant in our words, alike in all its releases."""
    meant = getattr(error, "possibilities", None)
    if not meant:
        return error.format_message().rstrip(".")
    return f"{error.message.rstrip('.')} (did you mean {' or '.join(meant)}?)"
