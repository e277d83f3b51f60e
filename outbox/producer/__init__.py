"""The producer: the application's own INSERT, in the application's own transaction.

It starts no thread and opens no connection, and keeps no state that a fork could copy wrongly.
"""

from outbox.producer.awaited import enqueue_async, enqueue_many_async
from outbox.producer.calls import enqueue, enqueue_many

__all__ = ["enqueue", "enqueue_async", "enqueue_many", "enqueue_many_async"]
