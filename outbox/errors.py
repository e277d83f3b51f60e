"""Everything that the outbox raises on purpose, and what to do about it.

::

    OutboxError                        exit code
    ├── EventRefused (ValueError)      65  the event can never be sent: fix the value
    ├── EnqueueRefused (RuntimeError)      the transaction cannot carry the event
    │   ├── AutocommitRefused              it would be committed at once
    │   ├── SavepointRefused               SQLite's stock driver would keep it after a rollback
    │   └── TargetRefused (TypeError)      that object holds no transaction
    ├── ConfigurationError             78  a setting is wrong, or two contradict each other
    │   └── DriverMissing              78  the database's driver is not installed
    ├── SchemaOutdated                 4   the outbox's tables are missing or of another version
    │   └── ProgramOutdated            4   they are of a newer one than this program
    ├── DatabaseUnreachable            69  the database does not answer
    ├── MessageNotFound                3   no message has that id
    ├── WrongState                     1   the message is not in the state that the verb needs
    └── TryLater                       75  what is due cannot be sent now

Every error is one sentence that says what is wrong, and a `hint`: the reader's next step.
The exit codes are the command line's (sysexits.h where it has a fitting one).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class OutboxError(Exception):
    """The root: `except OutboxError` catches all that the outbox raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an event: where, what, and the fix."""

    field: str
    """The path in the request body, such as `event.context` or `event.properties.items[2].price`."""
    wrong: str
    fix: str

    def __str__(self) -> str:
        return f"{self.field}: {self.wrong}; {self.fix}"


class EventRefused(OutboxError, ValueError):
    """The event can never be sent as it is. `problems` names every field that is wrong."""

    exit_code = 65

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


class EnqueueRefused(OutboxError, RuntimeError):
    """The session or connection cannot carry the event in its transaction."""


class AutocommitRefused(EnqueueRefused):
    """The connection commits every statement: the event would survive a rollback."""


class SavepointRefused(EnqueueRefused):
    """On SQLite with the driver's stock settings a rolled back savepoint's event would be kept."""


class TargetRefused(EnqueueRefused, TypeError):
    """What was handed in holds no transaction of the application's."""


class ConfigurationError(OutboxError):
    """A setting is wrong, or two settings contradict each other."""

    exit_code = 78


class DriverMissing(ConfigurationError):
    """The database's driver is not installed."""


class SchemaOutdated(OutboxError):
    """The outbox's tables are missing, or of another version than this program."""

    exit_code = 4


class ProgramOutdated(SchemaOutdated):
    """The outbox's tables are of a newer version than this program."""


class DatabaseUnreachable(OutboxError):
    """The database does not answer, or refuses us."""

    exit_code = 69


class MessageNotFound(OutboxError):
    """No message has that id."""

    exit_code = 3


class WrongState(OutboxError):
    """The message is not in the state that the verb needs."""


class TryLater(OutboxError):
    """What is due cannot be sent now: the destination is paused or delivery is off."""

    exit_code = 75


class OutboxWarning(UserWarning):
    """Something that works and is probably not what was meant."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean X?)`, or nothing when no known word is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.75)
    return f" (did you mean {close[0]}?)" if close else ""
