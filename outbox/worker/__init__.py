"""The worker: claim, deliver, settle."""

from outbox.worker.claiming import Mode
from outbox.worker.report import Counts
from outbox.worker.worker import Worker

__all__ = ["Counts", "Mode", "Worker"]
