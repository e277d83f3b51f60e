"""What arrived: one record for each POST, counts for each key, and a file that a kill cannot rob of an answer."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from outbox.errors import OutboxError
from outbox.testing.validate import Problem


class Received(NamedTuple):
    """One POST, as it arrived."""

    seq: int
    """1 for the first POST of this server."""
    at: float
    """Wall clock, seconds since 1970."""
    monotonic: float
    """`time.monotonic()`: the order of things, comparable between processes of one machine on Linux."""
    path: str
    """The request's target, with its query."""
    raw_headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    key: str | None
    """The `Idempotency-Key` header."""
    name: str | None
    """The event's name, where the body has one."""
    answer: str
    """The status, or the misbehaviour (`reset`, `hang`, …). Decided on arrival: after a delay nobody may be there."""
    accepted: bool
    """Whether the answer was a whole 2xx."""
    problems: tuple[Problem, ...] = ()
    """What the validation found, whatever was answered."""
    method: str = "POST"

    @property
    def headers(self) -> dict[str, str]:
        """Headers by lower-case name; of repeated ones the last."""
        return {_text(name).lower(): _text(value) for name, value in self.raw_headers}

    @property
    def json(self) -> Any:
        """The body, parsed. Raises `ValueError` if it is not JSON."""
        return json.loads(self.body)


class Journal:
    """Records and counts. Memory: all records, the last `keep`, or with `keep=0` only counts for each key."""

    def __init__(self, *, keep: int | None = None, path: str | os.PathLike[str] | None = None) -> None:
        self.seq = 0
        self.received: deque[Received] = deque(maxlen=keep)
        self._path = path
        self._file: int | None = None
        self.clear()

    def clear(self) -> None:
        """Forget what arrived; the file and the sequence numbers go on."""
        self.received.clear()
        self.count = 0
        self.keys: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.changed: set[str] = set()
        self._bodies: dict[str, int] = {}

    def open(self) -> None:
        """Open the file to append to it. Raises `OutboxError`."""
        if self._path is None or self._file is not None:
            return
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if not _ends_a_line(self._file):
                os.write(self._file, b"\n")
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def add(self, received: Received) -> None:
        """Write, then count. Raises `OutboxError` if the file takes no more: then the POST must not be answered."""
        if self._file is not None:
            self._write(self._file, received)
        self.received.append(received)
        self.count += 1
        self.answers[received.answer] += 1
        key = received.key
        if key is not None:
            self.keys[key] += 1
            if received.accepted:
                self.accepted[key] += 1
            digest = hash(received.body)
            if self._bodies.setdefault(key, digest) != digest:
                self.changed.add(key)

    def _write(self, file: int, received: Received) -> None:
        line = _line(received)
        try:
            written = os.write(file, line)
            while written < len(line):
                written += os.write(file, line[written:])
        except OSError as error:
            raise _unwritable(self._path, error) from error


def read_record(path: str | os.PathLike[str]) -> Iterator[Received]:
    """The records of a file that `FakeServer(record=…)` or `outbox fake-server --record` wrote.

    A last line that the disk had no room for is passed over: its POST was not answered.
    """
    with Path(path).open("rb") as file:
        for line in file:
            with contextlib.suppress(json.JSONDecodeError):
                yield _received(json.loads(line))


def _line(received: Received) -> bytes:
    values: dict[str, Any] = {
        "seq": received.seq,
        "at": received.at,
        "monotonic": received.monotonic,
        "method": received.method,
        "path": received.path,
        "key": received.key,
        "name": received.name,
        "answer": received.answer,
        "accepted": received.accepted,
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in received.raw_headers],
    }
    if received.problems:
        values["problems"] = received.problems
    try:
        values["body"] = received.body.decode("utf-8")
    except UnicodeDecodeError:
        values["body_base64"] = base64.b64encode(received.body).decode()
    return _ENCODER.encode(values).encode("ascii") + b"\n"


def _received(values: Mapping[str, Any]) -> Received:
    body = values.get("body")
    return Received(
        seq=values["seq"],
        at=values["at"],
        monotonic=values["monotonic"],
        path=values["path"],
        raw_headers=tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in values["headers"]),
        body=base64.b64decode(values["body_base64"]) if body is None else body.encode("utf-8"),
        key=values["key"],
        name=values["name"],
        answer=values["answer"],
        accepted=values["accepted"],
        problems=tuple(Problem(*problem) for problem in values.get("problems", ())),
        method=values["method"],
    )


def _ends_a_line(file: int) -> bool:
    size = os.fstat(file).st_size
    return size == 0 or os.pread(file, 1, size - 1) == b"\n"


def _unwritable(path: object, error: OSError) -> OutboxError:
    msg = f"the record {path} cannot be written: {error.strerror}"
    return OutboxError(msg, hint="Name a file in a folder that can be written to, with room on its disk.")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


_ENCODER = json.JSONEncoder(separators=(",", ":"))
