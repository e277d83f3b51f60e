"""The worker: claim, deliver, settle."""

from outbox.store import BACKLOG_MOST
from outbox.worker.meter import Histogram, Meter
from outbox.worker.report import Counts
from outbox.worker.shared import Mode
from outbox.worker.worker import Worker

__all__ = ["BACKLOG_MOST", "Counts", "Histogram", "Meter", "Mode", "Worker"]
