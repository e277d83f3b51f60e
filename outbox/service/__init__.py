"""What surrounds the worker in a process: the event loop, signals, logs."""

from outbox.service.logs import configure_logging
from outbox.service.run import build_worker, run_worker

__all__ = ["build_worker", "configure_logging", "run_worker"]
