"""What a worker tells of itself by HTTP: `/metrics`, `/healthz`, `/readyz`. Imported only where a port is set."""

from outbox.service.metrics.serving import serving

__all__ = ["serving"]
