"""Tables: drawn by rich on a terminal, plain aligned text everywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from outbox.render.screen import is_terminal, out
from outbox.render.text import safe, width

Cells = Sequence[object]


class Column(NamedTuple):
    """A column's title and manner."""

    title: str
    right: bool = False
    """Numbers stand on the right."""
    whole: bool = False
    """Never broken or cut on a narrow terminal: ids, which are copied."""
    styles: Mapping[str, str] = MappingProxyType({})
    """A word of ours to rich's style for it, such as `failed` to `red`."""


def table(columns: Sequence[Column], rows: Iterable[Cells]) -> None:
    """Print rows under their titles. Cells may hold text from outside; None shows as nothing."""
    cells = [["" if cell is None else safe(str(cell)) for cell in row] for row in rows]
    if is_terminal():
        _drawn(columns, cells)
    else:
        out(plain(columns, cells))


def plain(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> str:
    """Aligned text, two blanks between columns; the last column is as long as it is."""
    lines = [[column.title for column in columns], *cells]
    widths = [max(width(each[place]) for each in lines) for place in range(len(columns))]
    return "".join(_aligned(columns, each, widths) + "\n" for each in lines)


def _aligned(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int]) -> str:
    parts = []
    for column, cell, wanted in zip(columns, cells, widths, strict=True):
        blanks = " " * (wanted - width(cell))
        parts.append(blanks + cell if column.right else cell + blanks)
    return "  ".join(parts).rstrip()


def _drawn(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    """Draw with rich, which knows the terminal's width and honours NO_COLOR. `Text` takes no markup from a cell."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=column.whole,
            overflow="fold",
            min_width=36 if column.whole else None,
        )
    for row in cells:
        drawn.add_row(*(Text(cell, column.styles.get(cell, "")) for column, cell in zip(columns, row, strict=True)))
    Console(highlight=False, soft_wrap=False).print(drawn)
