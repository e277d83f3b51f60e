"""The worker: claim, deliver, settle."""

from outbox.worker.report import Counts
from outbox.worker.shared import Mode
from outbox.worker.worker import Worker

__all__ = ["Counts", "Mode", "Worker"]
