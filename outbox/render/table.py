"""Tables: aligned text, in colour and within the width on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from outbox.render.screen import is_terminal, out
from outbox.render.text import cut, safe, width

Cells = Sequence[object]
_Pieces = list[tuple[str, str]]
"""A line: texts and their styles."""

_GAP = "  "


class Column(NamedTuple):
    """A column's title and manner."""

    title: str
    right: bool = False
    """Numbers stand on the right."""
    least: int | None = None
    """On a narrow terminal it may be cut, down to so many characters; without it, it is never cut or wrapped."""
    styles: Mapping[str, str] = MappingProxyType({})
    """A word of ours to rich's style for it, such as `failed` to `red`."""


class _Layout(NamedTuple):
    """Where each column begins and how wide it is; those in `starts` begin a further line of the same row."""

    widths: list[int]
    positions: list[int]
    starts: set[int]
    room: float


def table(columns: Sequence[Column], rows: Iterable[Cells]) -> None:
    """Print rows under their titles. Cells may hold text from outside; None shows as nothing."""
    cells = [["" if cell is None else safe(str(cell)) for cell in row] for row in rows]
    if is_terminal():
        _draw(columns, cells)
    else:
        out("".join(_plain(line) + "\n" for line in _lines(columns, cells, math.inf)))


def _plain(line: _Pieces) -> str:
    return "".join(text for text, _ in line).rstrip()


def _draw(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    """Let rich colour it: it knows the terminal's width and honours NO_COLOR. `Text` takes no markup from a cell."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    with console.capture() as drawn:
        for line in _lines(columns, cells, console.width):
            text = Text.assemble(*line)
            text.rstrip()
            console.print(text)
    out(drawn.get())


def _lines(columns: Sequence[Column], cells: Sequence[Sequence[str]], room: float) -> Iterator[_Pieces]:
    titles = [column.title for column in columns]
    widths = [max(width(row[place]) for row in (titles, *cells)) for place in range(len(columns))]
    layout = _one_line(columns, widths, room) or _several_lines(columns, widths, room)
    yield from _row(columns, titles, layout, ["bold"] * len(columns))
    for row in cells:
        styles = [column.styles.get(cell, "") for column, cell in zip(columns, row, strict=True)]
        yield from _row(columns, row, layout, styles)


def _one_line(columns: Sequence[Column], natural: Sequence[int], room: float) -> _Layout | None:
    """A line for each row, if cutting what may be cut is enough; the last columns are cut first."""
    widths = list(natural)
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - room
    for place in reversed(range(len(columns))):
        least = columns[place].least
        if least is not None:
            taken = int(max(0, min(excess, widths[place] - least)))
            widths[place] -= taken
            excess -= taken
    if excess > 0:
        return None
    positions = [sum(widths[:place]) + len(_GAP) * place for place in range(len(widths))]
    return _Layout(widths, positions, set(), room)


def _several_lines(columns: Sequence[Column], natural: Sequence[int], room: float) -> _Layout:
    """As many columns as fit, the next ones on an indented line below: broken between columns, never in a cell."""
    layout = _Layout(list(natural), [], set(), room)
    position = 0
    for place, (column, wide) in enumerate(zip(columns, natural, strict=True)):
        if place and position + _needed(column, wide, last=place + 1 == len(columns)) > room:
            layout.starts.add(place)
            position = len(_GAP)
        if column.least is not None:
            layout.widths[place] = int(min(wide, max(column.least, room - position)))
        layout.positions.append(position)
        position += layout.widths[place] + len(_GAP)
    return layout


def _needed(column: Column, wide: int, *, last: bool) -> int:
    """The last column breaks by the row: only the cells that are too long stand on a line of their own."""
    if column.least is not None:
        return min(wide, column.least)
    return width(column.title) if last else wide


def _row(columns: Sequence[Column], cells: Sequence[str], layout: _Layout, styles: Sequence[str]) -> Iterator[_Pieces]:
    line: _Pieces = []
    for place, column in enumerate(columns):
        wanted = layout.widths[place]
        cell = cut(cells[place], wanted)
        too_long = layout.positions[place] + width(cell) > layout.room
        if place and (place in layout.starts or too_long):
            yield line
            line = [(_GAP, "")]
        blanks = (" " * (wanted - width(cell)), "")
        piece = (cell, styles[place])
        line += [blanks, piece] if column.right and not too_long else [piece, blanks]
        line.append((_GAP, ""))
    if _plain(line):
        yield line
