"""The documentation's pages and their fenced blocks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r"(?:^<!-- (?P<mark>\w+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block; `mark` is the comment above it, such as `run` or `quickstart`, which says who reads it."""

    mark: str | None
    language: str
    text: str


def read(page: Path) -> str:
    """The page's text."""
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[Block]:
    """Its blocks, from top to bottom."""
    return [Block(found["mark"], found["language"], found["text"]) for found in BLOCK.finditer(read(page))]


def marked(page: Path, mark: str) -> str:
    """The text of the one block with that mark."""
    (found,) = [block.text for block in blocks(page) if block.mark == mark]
    return found
