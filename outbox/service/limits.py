"""How long a worker may take to stop: what a service manager, or an orchestrator, must grant it."""

from __future__ import annotations

import math

from outbox.settings import Settings
from outbox.store.engine import CONNECT_SECONDS
from outbox.worker.settling import LAST_SETTLE_SECONDS
from outbox.worker.worker import ANSWER_SECONDS


def longest_stop(settings: Settings) -> int:
    """Seconds: what is in flight ends, then its outcomes are recorded, on a database that has fallen silent just now."""
    return math.ceil(settings.drain_timeout + LAST_SETTLE_SECONDS + ANSWER_SECONDS + CONNECT_SECONDS)
