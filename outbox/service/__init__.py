"""What surrounds the worker in a process: the event loop, signals."""

from outbox.render.logs import configure_logging
from outbox.service.inside import Ended, run_inside
from outbox.service.run import check_settings, run_worker

__all__ = ["Ended", "check_settings", "configure_logging", "run_inside", "run_worker"]
