"""The worker: claim ─▶ bounded queue ─▶ senders ─▶ settle.

The store works synchronously on a thread of its own; sending is asyncio. The three verbs run beside each
other: a claim feeds the queue while senders empty it, and a settle writes what has gathered meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from uuid import uuid4

from outbox._version import __version__
from outbox.delivery import Delivery
from outbox.settings import Settings
from outbox.store import Store
from outbox.worker.claiming import Claimer, Mode
from outbox.worker.report import Report
from outbox.worker.sending import Senders
from outbox.worker.settling import Settler
from outbox.worker.thread import StoreThread

HEARTBEAT_SECONDS = 10.0

ANSWER_SECONDS = 20.0
"""How long the database may take for a call. It ends a slow statement sooner, if it is there."""


class Worker:
    """Delivers until it is stopped, or as its mode says."""

    def __init__(self, store: Store, delivery: Delivery, settings: Settings, mode: Mode = Mode.FOREVER) -> None:
        self.report = Report()
        self._store = store
        self._delivery = delivery
        self._settings = settings
        self._thread = StoreThread(store.cut, ANSWER_SECONDS)
        self._claimer = Claimer(store, self._thread, self.report, settings, mode)
        self._settler = Settler(store, self._thread, self.report, most=settings.concurrency, lease=settings.lease)
        self._senders = Senders(delivery, self._settler, settings.concurrency)
        self._settler.on_opening = self._senders.go_on
        self._settler.on_trouble = self._senders.empty
        self._settler.on_successors = self._senders.feed_first

    def stop(self) -> None:
        """Claim no more, finish what is in flight, up to the drain time, release the rest."""
        self._claimer.stopping.set()
        self._settler.succeeds = False
        self._senders.hungry.set()
        self._delivery.stop()

    async def run(self) -> None:
        """Work until stopped. Raises what a worker that does not wait cannot bear: see `Mode`."""
        try:
            await self._claimer.until_ready()
            if not self._claimer.stopping.is_set():
                await self._work()
        finally:
            await self._delivery.close()
            await self._thread.call(self._store.close)
            self._thread.close()

    async def _work(self) -> None:
        self._senders.start()
        self._settler.succeeds = True
        settling = asyncio.create_task(self._settler.run())
        beating = asyncio.create_task(self._beat())
        claiming = asyncio.create_task(self._claimer.run(self._senders, self._settler))
        try:
            await asyncio.wait([claiming, settling], return_when=asyncio.FIRST_COMPLETED)
            if settling.done():
                # It raised what nobody foresaw. Nothing can be recorded any more, so nothing must be sent.
                self.stop()
            await claiming
        finally:
            self._settler.succeeds = False
            await self._senders.finish(self._claimer.stopping, self._settings.drain_timeout)
            self._settler.finish()
            beating.cancel()
            await asyncio.wait([settling, beating])
            settling.result()
        self._claimer.account_for(self._settler.unrecorded)

    async def _beat(self) -> None:
        """Show this worker among the living. Nothing depends on it, so the database's trouble is not its matter."""
        identity, host = uuid4(), socket.gethostname()
        try:
            while True:
                with contextlib.suppress(Exception):
                    await self._thread.call(self._store.heartbeat, identity, host, os.getpid(), __version__)
                await asyncio.sleep(HEARTBEAT_SECONDS)
        finally:
            with contextlib.suppress(Exception):
                await self._thread.call(self._store.farewell, identity)
