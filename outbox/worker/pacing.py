"""Pace: when the next POST may begin, where a rate is set or a destination has just come back."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from outbox.clock import lease_clock

AHEAD_SECONDS = 0.2
"""How far ahead sending times are asked for."""

LATE_SECONDS = 0.05
"""A sending time that was missed by more is not used: many of them at once would be a burst."""

Ask = Callable[[int], Awaitable[Sequence[float]]]
"""Asks for so many sending times on `lease_clock`. None of them: nothing limits the destination any more."""


class Pacer:
    """Lets senders begin one by one, at times that the whole fleet has agreed on."""

    def __init__(self, ask: Ask, *, rate: float | None, concurrency: int) -> None:
        self.limited = rate is not None
        """Whether senders must wait for their turn."""
        self._ask = ask
        self._rate = rate
        self._concurrency = concurrency
        self._soon = max(1, math.ceil((rate or concurrency) * AHEAD_SECONDS))
        self._times: deque[float] = deque()
        self._waiters: deque[_Waiter] = deque()
        self._closed = False
        self._ramp: Ramp | None = None
        self._dispatching: asyncio.Task[None] | None = None

    def room(self, waiting: int) -> float:
        """How many more messages to hold, where `waiting` are queued: what a rate lets go within a second.

        More would age under the lease.
        """
        return math.inf if self._rate is None else max(1.0, self._rate) - waiting - len(self._waiters)

    def ramp(self) -> None:
        """Begin slowly: the destination has come back for the whole fleet."""
        self.limited = True

    def ramp_here(self) -> None:
        """Begin slowly in this process, whose own network has come back."""
        self._ramp = Ramp(self._concurrency)
        self.limited = True

    def stop(self) -> None:
        """Send back whoever waits: nothing may be sent now."""
        self._times.clear()
        self._resolve_all(may_send=False)

    def close(self) -> None:
        """Stop for good: nobody has a turn any more."""
        self._closed = True
        self.stop()
        if self._dispatching is not None:
            self._dispatching.cancel()

    async def turn(self, latest: float = math.inf) -> bool:
        """Wait until a POST may begin. False: it must not begin at all, or its time did not come until `latest`."""
        if self._closed:
            return False
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters.append(_Waiter(waiter, latest))
        if self._dispatching is None or self._dispatching.done():
            self._dispatching = asyncio.create_task(self._dispatch())
        return bool(await waiter)

    async def _dispatch(self) -> None:
        try:
            await self._dispatch_all()
        except BaseException:
            self.stop()  # nobody else would ever wake them
            raise

    async def _dispatch_all(self) -> None:
        while self._waiters:
            self._send_back_late_ones()
            if not self._times and not await self._fetch():
                self._resolve_all(may_send=True)
                return
            if not self._times:
                await asyncio.sleep(AHEAD_SECONDS)
                continue
            begin = self._times.popleft()
            if (wait := begin - lease_clock()) > 0:
                await asyncio.sleep(wait)
            self._send_back_late_ones()
            if lease_clock() - begin <= LATE_SECONDS:
                _resolve_one(self._waiters, may_send=True)

    async def _fetch(self) -> bool:
        """Ask for sending times for those who wait; False: there is no limit any more."""
        count = min(len(self._waiters), self._soon)
        times = await self._ask(count) if count else ()
        now = lease_clock()
        if self._ramp is not None and self._ramp.is_over(now):
            self._ramp = None
        if not times and (self._rate is not None or not count):
            return True
        if not times and self._ramp is None:
            self.limited = False
            return False
        times = times or [now] * count
        self._times.extend(times if self._ramp is None else map(self._ramp.next, times))
        return True

    def _send_back_late_ones(self) -> None:
        now = lease_clock()
        for _ in range(len(self._waiters)):
            waiter = self._waiters.popleft()
            if waiter.latest > now:
                self._waiters.append(waiter)
            elif not waiter.future.done():
                waiter.future.set_result(False)

    def _resolve_all(self, *, may_send: bool) -> None:
        while _resolve_one(self._waiters, may_send=may_send):
            pass


class _Waiter(NamedTuple):
    future: asyncio.Future[bool]
    latest: float


class Ramp:
    """Sending times of one process whose own network was away, which others' may have been, too: at first a sixteenth of
    its concurrency in a second, four times as much in each second that follows.
    """

    SECONDS = 4.0

    def __init__(self, concurrency: int) -> None:
        self._first = max(1.0, concurrency / 16)
        self._began = lease_clock()
        self._last = self._began - 1 / self._first

    def is_over(self, now: float) -> bool:
        """Whether it limits nothing any more."""
        return now - self._began > self.SECONDS

    def next(self, earliest: float) -> float:
        """The next sending time, not before `earliest`."""
        rate = self._first * 4 ** max(0.0, self._last - self._began)
        self._last = max(earliest, self._last + 1 / rate)
        return self._last


def _resolve_one(waiters: deque[_Waiter], *, may_send: bool) -> bool:
    """Wake the first that still waits; whether there was one."""
    while waiters:
        future = waiters.popleft().future
        if not future.done():
            future.set_result(may_send)
            return True
    return False
