"""Serve a worker's metrics and checks while it runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager

from prometheus_client import make_wsgi_app

from outbox.clock import DEAD_AFTER_SECONDS, lease_clock
from outbox.service.metrics.collector import registry
from outbox.service.metrics.figures import Looks
from outbox.service.metrics.server import Server, routes
from outbox.settings import Settings
from outbox.worker import Meter, Worker

logger = logging.getLogger("outbox.worker")


@contextmanager
def serving(settings: Settings, port: int, worker: Worker, meter: Meter) -> Iterator[None]:
    """Answer by HTTP until the block ends. Raises `ConfigurationError` where the port cannot be had."""
    looks, began = Looks(settings), lease_clock()

    def dead() -> str | None:
        silent = lease_clock() - max(began, worker.pulse.beaten_at)
        return f"the worker came round {silent:.0f} s ago, and not since" if silent > DEAD_AFTER_SECONDS else None

    def unready() -> str | None:
        return dead() or (None if worker.is_ready else "the database does not work, or was not looked at yet")

    metrics = make_wsgi_app(registry(worker, meter, looks))
    with (
        closing(Server(settings.metrics_host, port, routes(metrics, {"/healthz": dead, "/readyz": unready}))) as server,
        looks.going_on(),
    ):
        logger.info("metrics at %s/metrics", server.url)
        yield
