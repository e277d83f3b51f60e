"""Standard output and error, whatever they are: a terminal, a pipe, another character set."""

from __future__ import annotations

import sys
from typing import TextIO

from outbox.errors import OutboxError
from outbox.render.text import safe


def is_terminal() -> bool:
    """Whether a person is looking at standard output."""
    return bool(sys.stdout and sys.stdout.isatty())


def line(text: str = "", *, err: bool = False) -> None:
    """Print one line that may hold text from outside: it stays one line and commands no terminal."""
    out(safe(text) + "\n", err=err)


def out(text: str, *, err: bool = False) -> None:
    """Write text that is known to be harmless, and flush it, so that a closed pipe shows at once."""
    stream = sys.stderr if err else sys.stdout
    if stream is None:
        return
    try:
        stream.write(_writable(text, stream))
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        name = "standard error" if err else "standard output"
        msg = f"{name} cannot be written: {error.strerror}"
        raise OutboxError(msg) from error


def _writable(text: str, stream: TextIO) -> str:
    """What the stream's character set lacks is escaped: a look must not fail over a name."""
    if text.isascii():
        return text
    encoding = stream.encoding or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)
