"""A lane: all that a worker has for one destination."""

from __future__ import annotations

from typing import NamedTuple

from outbox.delivery import Delivery
from outbox.worker.alone import Alone
from outbox.worker.circuit import Circuit
from outbox.worker.claiming import Claimer
from outbox.worker.sending import Senders
from outbox.worker.settling import Settler
from outbox.worker.shared import Shared
from outbox.worker.waking import Waker


class Seen(NamedTuple):
    """How a destination stands for a worker, at a glance from another thread."""

    name: str
    in_flight: int
    queued: int
    """Claimed, and not taken by a sender yet."""
    paused: bool
    """For all workers."""
    away: bool
    """Out of this worker's reach alone."""


class Lane:
    """The circuit, the senders and the claimer of a destination."""

    def __init__(
        self, name: str, shared: Shared, delivery: Delivery, settler: Settler, alone: Alone, waker: Waker, me: str
    ) -> None:
        """`me` is what other workers are told of who paused."""
        self.circuit = Circuit(name, shared, delivery.policy, me)
        self.senders = Senders(delivery, settler, self.circuit, shared.settings.destinations[name].concurrency)
        self.claimer = Claimer(name, shared, self.circuit, self.senders, settler, alone, waker)
        self.circuit.on_closing = self._close
        self._name = name
        self._pulse = shared.pulse
        self._waker = waker
        alone.senders.append(self.senders)

    def seen(self) -> Seen:
        """Say how the destination stands."""
        senders, circuit = self.senders, self.circuit
        return Seen(self._name, senders.in_flight, senders.waiting, circuit.is_paused, circuit.away is not None)

    async def run(self) -> None:
        """Send and claim until the claimer ends."""
        self.senders.start()
        try:
            await self.claimer.run()
        finally:
            self._pulse.leave(self._name)

    def stop(self) -> None:
        """Begin nothing any more."""
        self.circuit.pacer.close()
        self.senders.hungry.set()
        self._waker.wake(self._name)

    def _close(self) -> None:
        """Send nothing more; find out when that is possible again."""
        self.senders.empty()
        self._waker.wake(self._name)
