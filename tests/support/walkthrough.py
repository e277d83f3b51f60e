"""A page of commands and what they print: run it, compare it, or write it anew.

    <!-- situation: overnight -->        a fresh folder, prepared by `support.situations.overnight`
    <!-- meanwhile: the_api_is_back -->  what happens outside of the command line, by the situation's function of that name
    ```console                           each `$ command` is run in that folder, and what it prints stands below it

Ids, times, ages, process numbers and the number of spaces differ from run to run: they are compared as such. A line `…`
stands for any lines.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

_PART = re.compile(
    r"^<!-- (?P<verb>situation|meanwhile): (?P<name>\w+) -->$|^```console\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_COMMAND = re.compile(r"^\$ (?P<command>.*)\n(?P<written>(?:(?!\$ ).*\n)*)", re.MULTILINE)
_VARYING = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "DAY"),
    (re.compile(r"\b\d+(\.\d+)? (µs|ms|s|min|h|days?)\b( \d+ (s|min|h)\b)?"), "AGE"),
    (re.compile(r"\bjust now\b"), "AGE ago"),
    (re.compile(r"\bshop-1[: ] *\d+"), "PROCESS"),
    (re.compile(r"\b127\.0\.0\.1:\d+"), "HOST"),
    (re.compile(r"\b\d+ different messages"), "N different messages"),
    (re.compile(r" +"), " "),
    (re.compile(r"-{2,}"), "--"),
)
_WHERE, _WHO, _HOST = "/srv/shop", "anna@ops", "shop-1"


class Stage(NamedTuple):
    """A situation, ready to be looked at."""

    environment: dict[str, str]
    meanwhile: dict[str, Callable[[], None]]


Situation: TypeAlias = Callable[[Path], AbstractContextManager[Stage]]


@dataclass(frozen=True)
class Shown:
    """One command of the page."""

    command: str
    written: str
    """What the page says that it prints."""
    printed: str
    """What it printed."""
    place: int
    """Where on the page `written` begins."""

    @property
    def agrees(self) -> bool:
        """Whether the page tells the truth."""
        parts = [re.escape(_plain(each)) for each in re.split(r"^…\n", self.written, flags=re.MULTILINE)]
        return re.fullmatch(".*".join(parts), _plain(self.printed), re.DOTALL) is not None


def situations(page: str) -> list[str]:
    """The names of a page's situations, in its order."""
    return [found["name"] for found in _PART.finditer(page) if found["verb"] == "situation"]


def play(page: str, name: str, situation: Situation, folder: Path) -> Iterator[Shown]:
    """Run the commands of one situation of a page, one after the other."""
    parts = [*_PART.finditer(page)]
    begin = next(place for place, each in enumerate(parts) if each["verb"] == "situation" and each["name"] == name)
    with situation(folder) as stage:
        for each in parts[begin + 1 :]:
            if each["verb"] == "situation":
                break
            if each["verb"] == "meanwhile":
                stage.meanwhile[each["name"]]()
            else:
                yield from _run_block(each, folder, stage.environment)


def written_anew(page: str, shown: list[Shown]) -> str:
    """The page with what the commands have printed. What is abridged by `…` and true stays."""
    for each in sorted(shown, key=lambda one: one.place, reverse=True):
        if not each.agrees:
            page = page[: each.place] + each.printed + page[each.place + len(each.written) :]
    return page


def _run_block(block: re.Match[str], folder: Path, environment: dict[str, str]) -> Iterator[Shown]:
    for part in _COMMAND.finditer(block["text"]):
        printed = _run(part["command"], folder, environment)
        yield Shown(part["command"], part["written"], printed, block.start("text") + part.start("written"))


def _run(command: str, folder: Path, environment: dict[str, str]) -> str:
    here = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]), "COLUMNS": "200"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment | here, timeout=60, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    host = socket.gethostname()
    text = done.stdout.replace(str(folder), _WHERE).replace(f"{getpass.getuser()}@{host}", _WHO)
    return re.sub(rf"\b{re.escape(host)}\b", _HOST, text)


def _plain(text: str) -> str:
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return re.sub(r" $", "", text, flags=re.MULTILINE)
