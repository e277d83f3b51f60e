"""What the destinations of a worker share."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from enum import Enum

from outbox.errors import OutboxError
from outbox.settings import Settings
from outbox.store import Store
from outbox.worker.pace import Waits
from outbox.worker.pulse import Pulse
from outbox.worker.report import Doing, Report
from outbox.worker.thread import StoreThread


class Mode(Enum):
    """When a worker ends by itself."""

    FOREVER = "forever"
    DRAIN = "drain"
    """When nothing is due and nothing is leased to others."""
    ONCE = "once"
    """After one claim."""


@dataclass(frozen=True, slots=True)
class Shared:
    """The database, the log, what was asked for, and the wish to stop."""

    store: Store
    thread: StoreThread
    report: Report
    settings: Settings
    mode: Mode
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    pulse: Pulse = field(default_factory=Pulse)

    def came_round(self, part: str) -> None:
        """Take in that a part of the worker has come round: in vain, while the store is stuck in a call."""
        if not self.thread.is_stuck:
            self.pulse.turn(part)

    async def bear(self, part: str, error: Exception, waits: Waits) -> None:
        """Wait out the database's trouble: that is a round, too. What a person must repair ends a worker that does not wait."""
        explained = error if isinstance(error, OutboxError) else self.store.explain(error)
        if self.mode is not Mode.FOREVER or explained.exit_code == 78:
            raise explained from error
        self.report.trouble(Doing.CLAIM, explained)
        self.came_round(part)
        await self.pause(waits.next())

    async def pause(self, seconds: float) -> None:
        """Sleep, but wake when asked to stop. Others have their turn even where it is for no time."""
        if not seconds:
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
