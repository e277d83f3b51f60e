"""Every statement of the outbox but the application's own INSERT."""

from outbox.store.claim import Claimed
from outbox.store.evidence import Choice
from outbox.store.position import Position
from outbox.store.settle import Settled, Settlement
from outbox.store.store import TROUBLE, Store
from outbox.store.succession import Succession

__all__ = ["TROUBLE", "Choice", "Claimed", "Position", "Settled", "Settlement", "Store", "Succession"]
