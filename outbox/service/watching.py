"""What lets others see that a worker is well, while it runs: the heartbeat file, and metrics and checks by HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from outbox.errors import ConfigurationError
from outbox.service.heartbeat import heartbeat
from outbox.settings import Settings
from outbox.worker import Meter, Worker


def meter_of(settings: Settings) -> Meter | None:
    """What counts for the metrics; None where nobody can ask for them: counting costs a little for each event."""
    return None if settings.metrics_port is None else Meter(settings.destinations)


@contextmanager
def watched(settings: Settings, worker: Worker, meter: Meter | None) -> Iterator[None]:
    """Let others see the worker until the block ends. Raises `ConfigurationError` for what cannot be had."""
    with ExitStack() as stack:
        stack.enter_context(heartbeat(settings.heartbeat_file, worker.pulse))
        if meter is not None and settings.metrics_port is not None:
            stack.enter_context(_serving(settings, settings.metrics_port, worker, meter))
        yield


@contextmanager
def _serving(settings: Settings, port: int, worker: Worker, meter: Meter) -> Iterator[None]:
    try:
        from outbox.service.metrics import serving
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "prometheus_client":
            raise
        msg = "OUTBOX_METRICS_PORT is set, and prometheus-client is not installed"
        raise ConfigurationError(msg, hint="Install it: pip install 'overcentric-outbox[metrics]'") from error
    with serving(settings, port, worker, meter):
        yield
