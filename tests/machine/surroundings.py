"""What goes on around: time, an operator, and transactions of others that lock rows."""

from __future__ import annotations

from contextlib import closing
from uuid import UUID

from hypothesis import strategies as st
from sqlalchemy import Connection, select

from machine.base import Base
from machine.moves import move
from outbox.message import State
from outbox.producer.ids import uuid7
from outbox.schema import message
from support.stage import DUE_FOR, Stage


class Surroundings(Base):
    """All that is neither producer nor worker."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._locks: dict[str, Connection] = {}

    @move(1, one=st.none() | st.integers(0, 9))
    def leases_end(self, one: int | None) -> None:
        """Let all leases end, or those of one claim."""
        held = [row for row in self.unlocked() if row.held and not row.expired]
        if one is not None and held:
            token = held[one % len(held)].token
            held = [row for row in held if row.token == token]
        self.end_leases(held)

    @move(2)
    def time_passes(self) -> None:
        """Let what was put off be due."""
        late = [row for row in self.unlocked() if row.pending and not row.is_due(self.oracle.now)]
        self.stage.hasten([row.id for row in late])
        for row in late:
            row.put_off(-DUE_FOR, self.oracle.now)

    @move(2, places=st.lists(st.integers(0, 9), min_size=1, max_size=3))
    def operator_retries(self, places: list[int]) -> None:
        """Send messages again, whatever they are, and one that does not exist."""
        rows = sorted(self.unlocked(), key=lambda row: row.state is not State.FAILED)
        ids = {rows[place % len(rows)].id for place in places if rows} | {str(uuid7())}
        assert self.stage.retry(ids) == self.oracle.retry(ids)

    def set_pause(self, destination: str, *, paused: bool) -> None:
        """Pause a destination, or go on."""
        self.stage.pause(destination, paused=paused)
        if paused:
            self.oracle.paused.add(destination)
        else:
            self.oracle.paused.discard(destination)

    @move(1, place=st.integers(0, 9))
    def lock(self, place: int) -> None:
        """Let somebody else's transaction lock a row, best one that a worker holds."""
        rows = sorted(self.unlocked(), key=lambda row: not row.held)
        if rows and self.stage.has_locks and not self._locks:
            identity = rows[place % len(rows)].id
            connection = self.stage.rival()
            connection.execute(select(message.c.id).where(message.c.id == UUID(identity)).with_for_update())
            self._locks[identity] = connection
            self.oracle.locked.add(identity)

    @move(1)
    def unlock(self) -> None:
        """Let that transaction end."""
        self.end_locks()

    def end_locks(self) -> None:
        """Give back what is locked."""
        for identity, connection in self._locks.items():
            with closing(connection):
                connection.rollback()
            self.oracle.locked.discard(identity)
        self._locks.clear()
