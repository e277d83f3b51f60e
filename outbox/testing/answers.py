"""From a step to bytes: whole answers, and the ways in which an answer can go wrong."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from email.utils import formatdate
from enum import Enum, auto
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

from outbox.testing.request import Request
from outbox.testing.steps import SIZED, Action, Step

_BODILESS = frozenset({204, 304})
_MOMENT = 0.02
"""Seconds between half an answer and the end: without them the reset may overtake the half."""


class End(Enum):
    """What becomes of the connection."""

    KEEP = auto()
    CLOSE = auto()
    RESET = auto()
    HANG = auto()


class Play(NamedTuple):
    """What is sent, piece by piece, and what becomes of the connection."""

    first: bytes
    end: End
    more: Iterator[bytes] | None = None
    every: float = 0.0
    """Seconds before each further piece, and before the end."""


def perform(step: Step, request: Request) -> Play:
    """The step as a play."""
    answer = whole(step, request) if step.action in SIZED else b""
    half = len(answer) - max(1, (len(answer) - answer.find(b"\r\n\r\n") - 4) // 2)
    match step.action:
        case Action.OK | Action.STATUS:
            return Play(answer, End.KEEP)
        case Action.TRICKLE:
            return Play(b"", End.KEEP, (answer[i : i + 1] for i in range(len(answer))), step.every)
        case Action.RESET_MID:
            return Play(answer[:half], End.RESET, iter(()), _MOMENT)
        case Action.CLOSE_MID:
            return Play(answer[:half], End.CLOSE)
        case Action.ENDLESS_HEADERS | Action.ENDLESS_BODY | Action.ENDLESS_1XX:
            first, piece = _ENDLESS[step.action]
            return Play(first, End.HANG, itertools.repeat(piece), step.every)
        case _:
            return _SHORT[step.action]


def whole(step: Step, request: Request) -> bytes:
    """A complete answer."""
    second = int(time.time())
    if request.problems and step.action is Action.OK:
        problems = [{"field": field, "problem": problem} for field, problem in request.problems]
        return _compose(second, step, json.dumps({"ok": False, "problems": problems}).encode(), request.keep_alive)
    if step.size is not None:
        return _compose(second, step, b"x" * step.size, request.keep_alive)
    answer = _usual(second, step, request.keep_alive)
    return answer if request.method != "HEAD" else answer[: answer.index(b"\r\n\r\n") + 4]


@lru_cache(maxsize=128)
def _usual(second: int, step: Step, keep_alive: bool) -> bytes:  # noqa: FBT001 - lru_cache is fastest by position
    body = b'{"ok": true}' if step.status < 300 else b'{"ok": false, "status": %d}' % step.status
    return _compose(second, step, body, keep_alive)


def _compose(second: int, step: Step, body: bytes, keep_alive: bool) -> bytes:  # noqa: FBT001 - as above
    lines = [
        f"HTTP/1.1 {step.status} {_PHRASES.get(step.status, 'Unassigned')}",
        f"Date: {formatdate(second, usegmt=True)}",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
        *(f"{name}: {value}" for name, value in step.headers),
    ]
    if step.retry_after is not None:
        lines.append(f"Retry-After: {formatdate(second + step.retry_after, usegmt=True)}")
    if step.status in _BODILESS:
        body = b""
    else:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


_PHRASES = {int(status): status.phrase for status in HTTPStatus}
_SHORT = {
    Action.RESET_EARLY: Play(b"", End.RESET),
    Action.RESET: Play(b"", End.RESET),
    Action.CLOSE: Play(b"", End.CLOSE),
    Action.HANG: Play(b"", End.HANG),
    Action.GARBAGE: Play(b"\x00\x16\xff this is not HTTP \xfe\r\n\r\n", End.CLOSE),
}
_ENDLESS = {
    Action.ENDLESS_HEADERS: (b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n"),
    Action.ENDLESS_BODY: (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\nx\r\n",
    ),
    Action.ENDLESS_1XX: (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
}
