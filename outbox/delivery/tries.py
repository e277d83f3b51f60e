"""The tries of one attempt: repeated only where that is safe, soon, and the lease still covers it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt, wait_exponential, wait_random

from outbox.clock import lease_clock
from outbox.delivery.causes import TryFailed
from outbox.delivery.client import Answer
from outbox.message import Certainty, Delivered, Message, OnUnknown
from outbox.policy import Action, Policy

MOST = 3
"""Tries in one attempt, the first included."""

WITHIN = 2.0
"""Seconds from the first try's beginning after which none begins any more."""

# 0.2 to 0.4 s, then 0.4 to 0.6 s: a reload of the destination's server, not an outage.
_WAIT = wait_exponential(multiplier=0.2) + wait_random(0, 0.2)

Result = Delivered | Answer | TryFailed

_GATEWAY = (502, 503)
_WORST_LAST = (Certainty.NOT_SENT, Certainty.REJECTED, Certainty.UNKNOWN)


class Place(Protocol):
    """A sender's place among those that may send at once.

    It is given back for the length of a sleep and taken again before the next try; an attempt that ends in between
    leaves it given back. So `release` must do nothing when the place is already given back.
    """

    def release(self) -> None:
        """Give the place back, if it is held."""

    async def acquire(self) -> bool:
        """Take a place again, waiting for one. False: no further try may begin."""


class Tries:
    """What one attempt's tries came to, beginning with the first one, which has failed."""

    def __init__(
        self, message: Message, began: float, needed: float, first: Answer | TryFailed, policy: Policy
    ) -> None:
        self.message = message
        self._policy = policy
        self.began = began
        self.last: Result = first
        self.certainty = Certainty.NOT_SENT
        self.count = 0
        self._last_begin = min(began + WITHIN, message.claim.until - needed)
        self._note(first)

    async def repeat(self, post: Callable[[], Awaitable[Result]], stopping: asyncio.Event, place: Place | None) -> None:
        """Try again while that can help."""

        async def sleep(seconds: float) -> None:
            if place is not None:
                place.release()
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), seconds)

        def allowed() -> bool:
            return not stopping.is_set() and lease_clock() <= self._last_begin

        retrying = AsyncRetrying(
            stop=stop_after_attempt(MOST),
            wait=_WAIT,
            retry=retry_if_result(lambda result: self._helps(result) and allowed()),
            sleep=sleep,
            retry_error_callback=_keep_last,
        )
        async for trial in retrying:
            # tenacity's first round stands for the try that has already failed.
            if trial.retry_state.attempt_number > 1 and allowed():
                may_try = place is None or await place.acquire()
                if may_try and allowed():
                    self._note(await post())
            trial.retry_state.set_result(self.last)

    def _note(self, result: Result) -> None:
        self.last = result
        self.count += 1
        if not isinstance(result, Delivered):
            self.certainty = max(self.certainty, self._certainty(result), key=_WORST_LAST.index)

    def _helps(self, result: Result) -> bool:
        """Whether another try may succeed, and cannot duplicate what `park` must not."""
        if isinstance(result, TryFailed):
            return result.certainty is Certainty.NOT_SENT
        if isinstance(result, Answer) and self.message.on_unknown != OnUnknown.PARK:
            return result.retry_after is None and self._is_passing(result.status)
        return False

    def _is_passing(self, status: int) -> bool:
        """Whether a status tells of a reload, and the policy did not give it another meaning."""
        verdict = self._policy.judge(status)
        return status in _GATEWAY and verdict.action is Action.RETRY and not verdict.destination

    def _certainty(self, result: Answer | TryFailed) -> Certainty:
        if isinstance(result, TryFailed):
            return result.certainty
        return self._policy.judge(result.status).certainty or Certainty.UNKNOWN


def _keep_last(state: RetryCallState) -> None:
    """End without `RetryError`: what the last try came to is the attempt's result."""
