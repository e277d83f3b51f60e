"""What surrounds the worker in a process: the event loop, signals, logs."""

from outbox.service.logs import configure_logging
from outbox.service.run import run_worker

__all__ = ["configure_logging", "run_worker"]
