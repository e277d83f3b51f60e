"""`outbox completion`: the scripts of the shells, and what they are answered when a person asks for a word."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from outbox.cli import outbox as root_command
from support.commands import process

SHELLS = ("bash", "zsh", "fish")


def asked(shell: str, words: str, index: int) -> str:
    """What the shell's script asks our program, and is answered."""
    last = (words.split()[index : index + 1] or [""])[0] if shell == "fish" else str(index)
    ran = process(_OUTBOX_COMPLETE=f"{shell}_complete", COMP_WORDS=words, COMP_CWORD=last)
    assert (ran.code, ran.err) == (0, "")
    return ran.out


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_the_shells(shell: str) -> None:
    """It asks `outbox`, by click's protocol, and where that shell is installed it is one that it can read."""
    ran = process("completion", shell)
    assert (ran.code, ran.err) == (0, "")
    assert f"_OUTBOX_COMPLETE={shell}_complete" in ran.out
    if program := shutil.which(shell):
        read = subprocess.run([program, "-n"], input=ran.out, capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_words_are_completed(shell: str) -> None:
    """Commands, commands of a group, options, and the words that an option takes."""
    assert "status" in asked(shell, "outbox st", 1)
    assert "show" not in asked(shell, "outbox st", 1)
    assert "upgrade" in asked(shell, "outbox db up", 2)
    assert "--dry-run" in asked(shell, "outbox purge --dr", 2)
    assert "delivered" in asked(shell, "outbox purge --state d", 3)
    assert "fish" in asked(shell, "outbox completion f", 2)


def test_every_command_is_offered() -> None:
    """With its line of help, where the shell shows one."""
    assert isinstance(root_command, click.Group)
    names = root_command.list_commands(click.Context(root_command))
    lines = asked("fish", "outbox", 1).splitlines()
    assert [line.partition(",")[2].partition("\t")[0] for line in lines if line.startswith("plain,")][
        : len(names)
    ] == names
    assert "plain,status\tSay how the outbox stands." in lines


def test_asking_for_a_command_imports_none() -> None:
    """It happens at each press of a key."""
    program = """
import sys
from outbox.cli import run
try:
    run([])
finally:
    sys.stderr.write(" ".join(name for name in sys.modules if name.startswith(("outbox.cli.", "sqlalchemy", "pyreqwest"))))
"""
    environment = os.environ | {"_OUTBOX_COMPLETE": "bash_complete", "COMP_WORDS": "outbox ", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "plain,doctor" in done.stdout
    assert done.stderr == ""


def test_bash_completes(tmp_path: Path) -> None:
    """The whole way: bash reads the script, calls its function, and gets the words."""
    program = tmp_path / "outbox"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m outbox "$@"\n', encoding="utf-8")
    program.chmod(0o700)
    script = """
eval "$(outbox completion bash)"
COMP_WORDS=(outbox re) COMP_CWORD=1
$(complete -p outbox | sed -E 's/.* -F ([^ ]+) .*/\\1/') outbox
echo "${COMPREPLY[@]}"
"""
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["retry", "resume"], done.stderr


def test_another_shell_is_refused() -> None:
    """By name."""
    ran = process("completion", "tcsh")
    assert ran.code == 2
    assert "'tcsh' is not one of" in ran.err
