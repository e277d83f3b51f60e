"""Every statement of the outbox but the application's own INSERT."""

from outbox.store.claim import Choice, Claimed
from outbox.store.settle import Settled, Settlement
from outbox.store.store import TROUBLE, Store

__all__ = ["TROUBLE", "Choice", "Claimed", "Settled", "Settlement", "Store"]
