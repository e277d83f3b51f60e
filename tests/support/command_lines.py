"""Command lines of ours in files that nobody runs here: whether the command and its options are there."""

from __future__ import annotations

from collections.abc import Sequence

import click

from outbox.cli import outbox as root_command


def check(words: Sequence[str]) -> None:
    """Parse `outbox …` as the command line would, and run nothing. Raises click's errors."""
    assert words[0].rpartition("/")[2] == "outbox", words
    command: click.Command = root_command
    context = click.Context(command, info_name="outbox")
    rest = [*words[1:]]
    while isinstance(command, click.Group):
        name = rest.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"outbox {name} is no command"
        command, context = found, click.Context(found, info_name=name, parent=context)
    command.parse_args(context, rest)
