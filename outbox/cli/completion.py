"""`outbox completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes the commands and options of outbox in a shell.

    For bash, in ~/.bashrc: eval "$(outbox completion bash)". It asks this program at each word; nothing is connected to.
    """
    from outbox.render import out

    found = get_completion_class(shell)
    if found is None:
        msg = f"this release of click knows no completion for {shell}"
        raise click.UsageError(msg)
    out(found(context.find_root().command, {}, "outbox", "_OUTBOX_COMPLETE").source() + "\n")
