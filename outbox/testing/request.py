"""One request as it came off the wire."""

from __future__ import annotations

from outbox.testing.steps import Step
from outbox.testing.validate import Problem


class Request:
    """A request whose headers are read; `body`, `name` and `problems` are filled in as they become known."""

    __slots__ = ("body", "fields", "headers", "keep_alive", "method", "name", "problems", "refused", "step", "target")

    def __init__(self, method: str, target: str, headers: list[tuple[bytes, bytes]]) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.fields = {name.lower(): value for name, value in headers}
        """The last value of each header, by its lower-case name."""
        self.body = b""
        self.keep_alive = True
        self.name: str | None = None
        """The event's name; None where the body has none to read, or is not read yet."""
        self.problems: tuple[Problem, ...] = ()
        self.step: Step | None = None
        """Decided by the script before the body was read."""
        self.refused: int | None = None
        """The status, where HTTP's own rules refuse it."""

    @property
    def key(self) -> str | None:
        """The `Idempotency-Key` header."""
        value = self.fields.get(b"idempotency-key")
        return None if value is None else value.decode("utf-8", "backslashreplace")
