"""A look that is repeated on a terminal: each time in the place of the last one."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator

from outbox.errors import OutboxError
from outbox.render.screen import line, out
from outbox.render.text import width

# The terminal's second screen, so that what was on the first one comes back; no cursor.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _END_OF_LINE, _END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def watch(show: Callable[[], None], seconds: float) -> None:
    """Show again and again, `seconds` apart, until Ctrl-C; what was shown last stays on the screen.

    The first look may fail. From then on trouble is shown in the look's place: it may pass.
    """
    # As an exception, so that the terminal is left as it was found.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    last = ""
    with contextlib.suppress(KeyboardInterrupt):
        last = _drawn(show)
        with _second_screen():
            while True:
                out(_HOME + _cut(last).replace("\n", f"{_END_OF_LINE}\n") + _END_OF_SCREEN)
                time.sleep(seconds)
                last = _drawn(lambda: _or_trouble(show))
    out(last)


@contextlib.contextmanager
def _second_screen() -> Iterator[None]:
    out(_ENTER)
    try:
        yield
    finally:
        out(_LEAVE)


def _or_trouble(show: Callable[[], None]) -> None:
    try:
        show()
    except OutboxError as error:
        line(f"outbox: {error}")


class _Drawing(io.TextIOWrapper):
    """What a terminal would be sent, in the character set of the true one."""

    def isatty(self) -> bool:
        """Tables are drawn as for a terminal."""
        return True


def _drawn(show: Callable[[], None]) -> str:
    drawn = io.BytesIO()
    encoding = sys.stdout.encoding
    with contextlib.redirect_stdout(_Drawing(drawn, encoding, newline="\n", write_through=True)):
        show()
        return drawn.getvalue().decode(encoding)


def _cut(text: str) -> str:
    """As many lines as the terminal has room for."""
    columns, rows = shutil.get_terminal_size()
    kept, room = "", rows - 1
    for each in text.splitlines(keepends=True):
        room -= max(1, -(-width(_STYLE.sub("", each.rstrip("\n"))) // columns))
        if room < 0:
            break
        kept += each
    return kept
