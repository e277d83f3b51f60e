"""One attempt: a first try at full speed, more tries only where they are safe and soon, and the outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import NamedTuple

from outbox.clock import lease_clock
from outbox.delivery.causes import TryFailed
from outbox.delivery.client import Answer, Client, system_certificates
from outbox.delivery.timed import TimedClient
from outbox.delivery.tries import Place, Tries
from outbox.destinations import Destination, DestinationSettings, checked, make
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


class _Way(NamedTuple):
    """What sending to one destination needs."""

    destination: Destination
    client: Client


Teller = Callable[[str], Callable[[float], None]]
"""Gives, for a destination's name, what is told of the seconds that each try takes."""


class Delivery:
    """Sends messages, one attempt at a time, and says what came of each. Settling is another's matter.

    Every destination has a client of its own: its limits, its proxy, its connections.

    Build it before the worker's threads start (building hides two environment variables for a moment), use it in
    one event loop. Raises `ConfigurationError` for a destination to which nothing can be sent. `teller`, if given,
    has each try timed.
    """

    def __init__(self, settings: Settings, policy: Policy, teller: Teller | None = None) -> None:
        """Open nothing yet."""
        told = settings.destinations
        self.names = tuple(told)
        """The destinations that it sends to."""
        self.policy = policy
        self._stopping = asyncio.Event()
        self._needed = {name: _needed(settings.lease, each.try_timeout) for name, each in told.items()}
        self._sends = settings.delivery != "log"
        self._ways = _ways(told.values(), policy.delivered(), teller) if self._sends else {}

    def latest(self, message: Message) -> float:
        """Until when an attempt may begin, on `lease_clock`: later, too little of the lease is left."""
        return message.claim.until - self._needed[message.destination]

    async def attempt(self, message: Message, place: Place | None = None) -> Outcome | None:
        """Send a message.

        None: nothing was sent, because too little of the lease is left; release the claim. An exception is none of
        the destination's doing: leave the claim to expire. A cancelled attempt may have been processed: `cut_off`.
        `place`, if given, is held by the caller and given back during sleeps; see `Place`.
        """
        began = lease_clock()
        needed = self._needed[message.destination]
        if message.claim.until - began < needed:
            return None
        if not self._sends:
            logger.info("would send %s %s", message.id, message.name)
            return _LOGGED
        destination, client = self._ways[message.destination]
        request = destination.request(message)
        result = await client.post(request)
        if isinstance(result, Delivered):
            return result
        tries = Tries(message, began, needed, result, self.policy)
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
        for way in self._ways.values():
            await way.client.close()

    def _outcome(self, tries: Tries) -> Outcome:
        match tries.last:
            case Delivered() as delivered:
                return delivered
            case TryFailed(error=error):
                return self.policy.outcome(tries.message, _record(tries, error))
            case Answer(status, wish, excerpt):
                attempt = _record(tries, _words(status), status, clean(excerpt, RESPONSE_BYTES))
                return self.policy.outcome(tries.message, attempt, retry_after(wish, datetime.now(UTC)))


def _ways(
    told: Iterable[DestinationSettings], delivered: Mapping[int, Delivered], teller: Teller | None
) -> dict[str, _Way]:
    """Check all destinations, then make their clients."""
    destinations = [(each, _destination(each)) for each in told]
    with system_certificates():  # around all of them: it says what it hides
        return {
            each.name: _Way(destination, _client(each, destination, delivered, teller))
            for each, destination in destinations
        }


def _destination(settings: DestinationSettings) -> Destination:
    destination = make(settings)
    checked(destination.url, settings.variable("url"))
    destination.check()
    return destination


def _client(
    settings: DestinationSettings, destination: Destination, delivered: Mapping[int, Delivered], teller: Teller | None
) -> Client:
    name = settings.name
    client = TimedClient(settings, delivered, teller(name)) if teller else Client(settings, delivered)
    client.check(destination.url, settings.variable("url"))
    return client


def _needed(lease: float, try_timeout: float) -> float:
    """Seconds of a lease that a try must find: what remains of a fresh one is for waiting in the queue and for settling.

    An eighth of that rest (up to 2 s) is kept for the settle.
    """
    return try_timeout + min(2.0, (lease - try_timeout) / 8)


def _record(tries: Tries, error: str, status: int | None = None, response: str | None = None) -> Attempt:
    duration = lease_clock() - tries.began
    return Attempt(tries.began, duration, tries.count, tries.certainty, clean(error, ERROR_BYTES), status, response)


def _words(status: int) -> str:
    try:
        phrase = f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = f"HTTP {status}"
    return f"{phrase}: redirects are not followed" if 300 <= status < 400 else phrase
