"""Delivery: a message to its outcome, by HTTP. The tries of one attempt, and what each answer means."""

from outbox.delivery.delivery import Delivery
from outbox.delivery.tries import Place

__all__ = ["Delivery", "Place"]
