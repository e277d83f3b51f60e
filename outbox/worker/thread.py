"""The store, called from asyncio: all of its work runs on one thread of its own."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from outbox.clock import lease_clock

P = ParamSpec("P")
R = TypeVar("R")

_LOOK_SECONDS = 1.0


class StoreThread:
    """One thread, so that the store's connection has one user; calls run in the order they were made.

    `cut` is called, from the event loop, when one takes longer than `limit` seconds: it must make that one end. `on_call`, if
    given, is told on the thread of each call's name and seconds.
    """

    def __init__(
        self, cut: Callable[[float], None], limit: float, on_call: Callable[[str, float], None] | None = None
    ) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="outbox-store")
        self._cut = cut
        self._limit = limit
        self._on_call = on_call
        self._began = math.inf
        self._looking: asyncio.TimerHandle | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether a call goes on although it has been cut."""
        return lease_clock() - self._began > self._limit + 2 * _LOOK_SECONDS

    async def call(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `work` on the thread and give its result."""
        loop = asyncio.get_running_loop()
        if self._looking is None:
            self._look_later(loop)
        return await loop.run_in_executor(self._executor, lambda: self._timed(work, *args, **kwargs))

    def close(self) -> None:
        """End the thread when its last call has ended."""
        if self._looking is not None:
            self._looking.cancel()
        self._executor.shutdown(wait=False)

    def _timed(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        began = self._began = lease_clock()
        try:
            return work(*args, **kwargs)
        finally:
            self._began = math.inf
            if self._on_call is not None:
                self._on_call(getattr(work, "__name__", ""), lease_clock() - began)

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looking = loop.call_later(_LOOK_SECONDS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if lease_clock() - self._began > self._limit:
            self._cut(self._limit)
        self._look_later(loop)
