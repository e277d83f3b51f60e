"""A lane: all that a worker has for one destination."""

from __future__ import annotations

from outbox.delivery import Delivery
from outbox.worker.alone import Alone
from outbox.worker.circuit import Circuit
from outbox.worker.claiming import Claimer
from outbox.worker.sending import Senders
from outbox.worker.settling import Settler
from outbox.worker.shared import Shared
from outbox.worker.waking import Waker


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
