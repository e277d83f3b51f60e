"""Send: a bounded number of senders empty the queue that the claimer fills."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from outbox.clock import lease_clock
from outbox.delivery import Delivery
from outbox.message import Message
from outbox.worker.circuit import Circuit
from outbox.worker.pace import LOOK_AGAIN_SECONDS
from outbox.worker.report import logger
from outbox.worker.settling import Settler


class Senders:
    """`concurrency` coroutines, each with at most one message of one destination in its hands."""

    def __init__(self, delivery: Delivery, settler: Settler, circuit: Circuit, concurrency: int) -> None:
        self.hungry = asyncio.Event()
        """Set when no more than `low` messages wait, and when a sender becomes free."""
        self.low = 0
        self.begun = 0
        """Messages begun since somebody last reset it."""
        self._delivery = delivery
        self._settler = settler
        self._circuit = circuit
        self._concurrency = concurrency
        self._queue: deque[Message] = deque()
        self._in_flight = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._finishing = False
        # Senders that wait for work, and those that slept between tries and want to send again.
        self._idle: deque[asyncio.Future[None]] = deque()
        self._returning: deque[asyncio.Future[None]] = deque()

    def start(self) -> None:
        """Start the senders."""
        for _ in range(self._concurrency):
            self._start_one()

    def _start_one(self) -> None:
        task = asyncio.create_task(self._send_all())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def waiting(self) -> int:
        """Messages that no sender has taken yet."""
        return len(self._queue)

    @property
    def free(self) -> int:
        """Senders that wait for work."""
        return max(0, self._concurrency - self._in_flight - self.waiting)

    @property
    def in_flight(self) -> int:
        """Messages that senders have in their hands."""
        return self._in_flight

    @property
    def is_busy(self) -> bool:
        """Whether any message waits or is in flight."""
        return bool(self._in_flight or self._queue)

    def feed(self, messages: Iterable[Message]) -> None:
        """Queue messages that were claimed."""
        self._queue.extend(messages)
        self._wake(self.waiting)

    def feed_first(self, messages: Sequence[Message]) -> None:
        """Queue messages before all others: the rest of their keys waits for them."""
        self._queue.extendleft(reversed(messages))
        self._wake(len(messages))

    def go_on(self) -> None:
        """Take messages again, now that outcomes are settled again."""
        # Who finds nothing left ends, when all is to end.
        self._wake(len(self._idle) if self._finishing else self.waiting)
        self.hungry.set()

    def empty(self) -> None:
        """Give back every message that no sender has taken."""
        while self._queue:
            self._give_back(self._queue.popleft())

    async def finish(self, stopping: asyncio.Event, drain_timeout: float) -> None:
        """Let the senders empty the queue. Once stopped, only finish what is in flight, up to the drain time."""
        self._finishing = True
        self._wake(len(self._idle))
        _resolve_all(self._returning)
        tasks = list(self._tasks)
        ended: asyncio.Future[Any] = asyncio.gather(*tasks, return_exceptions=True)
        stopped: asyncio.Future[Any] = asyncio.create_task(stopping.wait())
        while not (ended.done() or stopping.is_set() or self._settler.lasting_failure()):
            await asyncio.wait([ended, stopped], timeout=LOOK_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        self.empty()
        self._wake(len(self._idle))
        await asyncio.wait([ended], timeout=drain_timeout)
        for task in tasks:
            task.cancel()
        await ended

    async def _send_all(self) -> None:
        place = SenderPlace(self)
        while (message := await self._take()) is not None:
            self._in_flight += 1
            try:
                await self._send(message, place)
            finally:
                self._in_flight -= 1
            if not place.held:
                return

    async def _take(self) -> Message | None:
        """Wait for a message that may be sent; None ends the sender."""
        while not _resolve_one(self._returning):
            if self._queue and self._settler.accepts.is_set():
                message = self._queue.popleft()
                if self.waiting <= self.low:
                    self.hungry.set()
                return message
            if self._finishing and not self._queue:
                return None
            waiter = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            self.hungry.set()
            await waiter
        # This one ends in favour of one that slept: whoever woke it may have meant a message.
        self._wake(1)
        return None

    def _wake(self, count: int) -> None:
        while count > 0 and _resolve_one(self._idle):
            count -= 1

    async def _send(self, message: Message, place: SenderPlace) -> None:
        if self._circuit.pacer.limited and not await self._may_begin(message):
            self._give_back(message)
            return
        began = lease_clock()
        try:
            outcome = await self._delivery.attempt(message, place)
        except asyncio.CancelledError:
            self._circuit.unsent(message)
            self._settler.settle(message, self._delivery.cut_off(message, began))
            raise
        except Exception:  # noqa: BLE001 - whatever it is, the loop and the other messages go on
            # Not the destination's doing but ours: the claim expires, and the message is claimed again.
            logger.exception("sending %s raised; it will be claimed again when its lease has expired", message.id)
            self._circuit.unsent(message)
            return
        self.begun += 1
        if outcome is None:
            self._give_back(message)
        else:
            self._settler.settle(message, self._circuit.observe(message, outcome, self._others_in_flight))

    @property
    def _others_in_flight(self) -> int:
        # Without those that sleep between tries: what they have seen so far is no success.
        return min(self._in_flight, self._concurrency) - 1

    async def _may_begin(self, message: Message) -> bool:
        try:
            return await self._circuit.pacer.turn(self._delivery.latest(message))
        except asyncio.CancelledError:  # the end of the drain: nothing has been sent
            return False

    def _give_back(self, message: Message) -> None:
        self._circuit.unsent(message)
        self._settler.release(message)

    def substitute(self) -> bool:
        """Let a new sender work in the place of one that sleeps. Not while the senders finish."""
        if not self._finishing:
            self._start_one()
        return not self._finishing

    async def may_try_again(self) -> bool:
        """Wait until another try may begin. False: none may, as the destination is not being sent to."""
        pacer = self._circuit.pacer
        return self._circuit.is_open and (not pacer.limited or await pacer.turn())

    async def return_place(self) -> None:
        """Wait until a sender has ended, so that the one that slept may send in its place."""
        if not self._finishing:
            returning = asyncio.get_running_loop().create_future()
            self._returning.append(returning)
            self._wake(1)
            await returning


class SenderPlace:
    """The right to send, held by a sender; while it sleeps between tries another sends in its stead."""

    def __init__(self, senders: Senders) -> None:
        self.held = True
        self._senders = senders

    def release(self) -> None:
        """Give the place to another sender."""
        if self.held:
            self.held = not self._senders.substitute()

    async def acquire(self) -> bool:
        """Take a place again; whether another try may begin."""
        if not self.held:
            await self._senders.return_place()
            self.held = True
        return await self._senders.may_try_again()


def _resolve_one(waiters: deque[asyncio.Future[None]]) -> bool:
    """Wake the first that still waits; whether there was one."""
    while waiters:
        waiter = waiters.popleft()
        if not waiter.done():
            waiter.set_result(None)
            return True
    return False


def _resolve_all(waiters: deque[asyncio.Future[None]]) -> None:
    while _resolve_one(waiters):
        pass
