"""Every statement of the outbox but the application's own INSERT."""

from outbox.store.claim import Claimed
from outbox.store.settle import Settled, Settlement
from outbox.store.store import TROUBLE, Store

__all__ = ["TROUBLE", "Claimed", "Settled", "Settlement", "Store"]
