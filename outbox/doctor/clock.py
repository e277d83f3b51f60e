"""The clock of this host beside the database's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from outbox.doctor.finding import Finding, ok, warning
from outbox.settings import Settings
from outbox.store.engine import Connection
from outbox.store.look import now_in_transaction

_TOLERATED = 5.0
"""Seconds. Deliveries go by the database's clock alone; of this host's are the log, the times in webhooks' signatures, which
receivers take for five minutes, and what remains of a `Retry-After` that is a date."""


def clock(connection: Connection, _settings: Settings, host: Callable[[], float] = time.time) -> Iterator[Finding]:
    """How far they are apart, as far as the way to the database lets one see. SQLite has this host's."""
    if connection.dialect.name == "sqlite":
        return
    before = host()
    there = now_in_transaction(connection).timestamp()
    after = host()
    offset = there - (before + after) / 2
    if abs(offset) - (after - before) / 2 <= _TOLERATED:
        yield ok("clock", f"the database's clock is within {_TOLERATED:g} s of this host's")
        return
    where = "ahead of" if offset > 0 else "behind"
    text = (
        f"the database's clock is {abs(offset):.0f} s {where} this host's: times in the log and in webhooks are wrong"
    )
    yield warning("clock", text, "Have both hosts set their clocks by NTP")
