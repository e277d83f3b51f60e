"""The senders: never more than there should be, none lost, and an end, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import cast
from uuid import UUID

import pytest

from outbox.clock import lease_clock
from outbox.delivery import Delivery, Place
from outbox.message import Claim, Delivered, Message, Outcome
from outbox.worker.circuit import Circuit
from outbox.worker.pacing import Ask, Pacer
from outbox.worker.sending import Senders
from outbox.worker.settling import Settler


class Ledger:
    """Takes what a settler would take, and closes and opens as one does."""

    def __init__(self) -> None:
        self.accepts = asyncio.Event()
        self.accepts.set()
        self.taken: list[str] = []

    def settle(self, message: Message, _outcome: Outcome) -> None:
        """Note an outcome."""
        self.taken.append(message.id)

    def release(self, message: Message) -> None:
        """Note a message that was given back."""
        self.taken.append(message.id)

    def lasting_failure(self) -> None:
        """Never fail."""


class Wire:
    """Attempts that take a moment, sleep between tries, and sometimes raise."""

    def __init__(self, chance: random.Random, stopping: asyncio.Event) -> None:
        self.most = self.raised = self._now = 0
        self._chance = chance
        self._stopping = stopping

    async def attempt(self, _message: Message, place: Place) -> Outcome:
        """Try up to three times, giving the place back in between."""
        await self._try()
        for _ in range(self._chance.choice([0, 0, 1, 2])):
            place.release()
            await asyncio.sleep(self._chance.uniform(0, 0.004))
            if self._stopping.is_set():
                break
            assert await place.acquire()
            await self._try()
        if self._chance.random() < 0.05:
            self.raised += 1
            raise ValueError
        return Delivered(200)

    def cut_off(self, _message: Message, _began: float) -> Outcome:
        """Settle what was cancelled."""
        return Delivered()

    async def _try(self) -> None:
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await asyncio.sleep(self._chance.choice([0, 0.001, 0.003]))
        finally:
            self._now -= 1


class Open:
    """A circuit through which everything goes."""

    is_open = True
    pacer = Pacer(cast("Ask", None), rate=None, concurrency=1)

    def observe(self, _message: Message, outcome: Outcome, _in_flight: int) -> Outcome:
        """Take it as it is."""
        return outcome

    def unsent(self, _message: Message) -> None:
        """Know nothing of probes."""


async def story(seed: int) -> None:
    """Feed senders, let settling stop and go on, then let them finish, or stop them, at any moment."""
    chance = random.Random(seed)  # noqa: S311 - repeatable
    loop, stopping, ledger = asyncio.get_running_loop(), asyncio.Event(), Ledger()
    wire, concurrency = Wire(chance, stopping), chance.choice([1, 2, 5])
    senders = Senders(cast("Delivery", wire), cast("Settler", ledger), cast("Circuit", Open()), concurrency)
    senders.start()
    claim = Claim(UUID(int=1), lease_clock() + 60)
    ids = [str(number) for number in range(chance.choice([0, 3, 40, 90]))]
    senders.feed(Message(each, "thing_done", "{}", 0, "retry", False, "overcentric", claim) for each in ids)
    await asyncio.sleep(chance.choice([0, 0.01, 0.05]))
    if chance.random() < 0.4:
        loop.call_later(chance.uniform(0, 0.03), stopping.set)
    if chance.random() < 0.5:
        ledger.accepts.clear()
        loop.call_later(0.02, ledger.accepts.set)
        loop.call_later(0.02, senders.go_on)
    most = wire.most
    await asyncio.wait_for(senders.finish(stopping, drain_timeout=chance.choice([0, 1])), 10)
    assert most <= concurrency
    assert not senders.is_busy
    assert len(ledger.taken) == len(set(ledger.taken)) == len(ids) - wire.raised
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("part", range(4))
def test_senders_under_whatever_happens(part: int) -> None:
    """In 400 random runs every message is settled or given back once, or raised; `finish` ends, and leaves no task."""
    logging.disable(logging.CRITICAL)
    try:
        for seed in range(part * 100, part * 100 + 100):
            asyncio.run(story(seed))
    finally:
        logging.disable(logging.NOTSET)
