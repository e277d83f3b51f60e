"""What the judge is given: the producers' ledger, the destination's record, the faults, and the outbox's own tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Engine, select

from chaos.destination import Reception
from chaos.faults.scene import Fault
from chaos.ledger import Enqueued, Trouble
from outbox.schema import attempt, message


class Row(NamedTuple):
    """A message's row."""

    state: str
    failure_reason: str | None = None
    attempts: int = 0
    lost: int = 0
    last_status: int | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of it, after the end."""

    enqueued: Sequence[Enqueued]
    receptions: Sequence[Reception]
    """In the order of arrival."""
    rows: Mapping[str, Row]
    faults: Sequence[Fault] = ()
    troubles: Sequence[Trouble] = ()
    accidents: Sequence[str] = ()
    """Processes that ended as they should not."""
    concurrency: int = 8
    rested: float = 0.0
    """The share of the time in which producers had to rest, because the workers did not keep pace."""
    attempts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The log of attempts of each message, as text."""


def read_rows(engine: Engine) -> dict[str, Row]:
    """Every message's row."""
    columns = message.c
    query = select(
        columns.id, columns.state, columns.failure_reason, columns.attempts, columns.lost, columns.last_status,
        columns.last_error,
    )  # fmt: skip
    with engine.connect() as connection:
        return {str(identity): Row(*rest) for identity, *rest in connection.execute(query)}


def read_attempts(engine: Engine) -> dict[str, list[str]]:
    """Every attempt that did not deliver, by message."""
    found: dict[str, list[str]] = {}
    with engine.connect() as connection:
        for row in connection.execute(select(attempt).order_by(attempt.c.id)):
            said = f"{row.started_at:%H:%M:%S.%f} {row.duration_ms} ms, {row.tries} tries, {row.certainty}: {row.error}"
            found.setdefault(str(row.message_id), []).append(said)
    return found
