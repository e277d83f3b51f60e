"""One attempt: a first try at full speed, more tries only where they are safe and soon, and the outcome."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from http import HTTPStatus

from outbox.clock import lease_clock
from outbox.delivery.causes import TryFailed
from outbox.delivery.client import Answer, Client
from outbox.delivery.destination import Destination, Overcentric
from outbox.delivery.tries import Place, Tries
from outbox.message import (
    Attempt,
    Certainty,
    Delivered,
    Failed,
    FailureReason,
    Message,
    OnUnknown,
    Outcome,
    Retry,
)
from outbox.policy import ERROR_BYTES, RESPONSE_BYTES, Policy, clean, retry_after
from outbox.settings import Settings

logger = logging.getLogger("outbox.delivery")

_LOGGED = Delivered()


class Delivery:
    """Sends messages, one attempt at a time, and says what came of each. Settling is another's matter.

    Build it before the worker's threads start (building hides two environment variables for a moment), use it in
    one event loop. Raises `ConfigurationError` for an endpoint to which nothing can be sent.
    """

    def __init__(self, settings: Settings, policy: Policy, *, roots: bytes | None = None) -> None:
        """Open nothing yet. `roots` are certificate authorities to trust beside the system's, as PEM."""
        destinations: tuple[Destination, ...] = (Overcentric(settings.endpoint),)
        self._destinations = {each.name: each for each in destinations}
        self._policy = policy
        self._stopping = asyncio.Event()
        # What remains of a fresh lease beside a try is for waiting in the queue and for settling; an eighth of it
        # (up to 2 s) is kept for the settle.
        self._needed = settings.try_timeout + min(2.0, (settings.lease - settings.try_timeout) / 8)
        self._client = None
        if settings.delivery != "log":
            self._client = Client(concurrency=settings.concurrency, try_timeout=settings.try_timeout, roots=roots)
            for each in destinations:
                self._client.check(each.url)

    async def attempt(self, message: Message, place: Place | None = None) -> Outcome | None:
        """Send a message.

        None: nothing was sent, because too little of the lease is left; release the claim. An exception is none of
        the destination's doing: leave the claim to expire. A cancelled attempt may have been processed: `cut_off`.
        `place`, if given, is held by the caller and given back during sleeps; see `Place`.
        """
        began = lease_clock()
        if message.claim.until - began < self._needed:
            return None
        if self._client is None:
            logger.info("would send %s %s", message.id, message.name)
            return _LOGGED
        request = self._destinations[message.destination].request(message)
        result = await self._client.post(request)
        if isinstance(result, Delivered):
            return result
        tries = Tries(message, began, self._needed, result)
        client = self._client
        await tries.repeat(lambda: client.post(request), self._stopping, place)
        return self._outcome(tries)

    def cut_off(self, message: Message, began: float) -> Retry | Failed:
        """What becomes of an attempt that the end of the drain cancelled. `began` is on `lease_clock`."""
        error = "cut off by the worker's shutdown"
        attempt = Attempt(began, lease_clock() - began, 1, Certainty.UNKNOWN, error)
        if message.on_unknown == OnUnknown.PARK:
            return Failed(FailureReason.UNKNOWN, attempt)
        return Retry(0.0, attempt, charged=False)

    def stop(self) -> None:
        """End the sleeps between tries: what has failed by now is settled as it stands."""
        self._stopping.set()

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.close()

    def _outcome(self, tries: Tries) -> Outcome:
        match tries.last:
            case Delivered() as delivered:
                return delivered
            case TryFailed(error=error):
                return self._policy.outcome(tries.message, _record(tries, error))
            case Answer(status, wish, excerpt):
                attempt = _record(tries, _words(status), status, clean(excerpt, RESPONSE_BYTES))
                return self._policy.outcome(tries.message, attempt, retry_after(wish, datetime.now(UTC)))


def _record(tries: Tries, error: str, status: int | None = None, response: str | None = None) -> Attempt:
    duration = lease_clock() - tries.began
    return Attempt(tries.began, duration, tries.count, tries.certainty, clean(error, ERROR_BYTES), status, response)


def _words(status: int) -> str:
    try:
        phrase = f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = f"HTTP {status}"
    return f"{phrase}: redirects are not followed" if 300 <= status < 400 else phrase
