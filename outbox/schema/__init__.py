"""The tables, their column types, and the database's clock: what producer and store share."""

from outbox.schema.clock import utc_after, utc_now
from outbox.schema.tables import (
    CHANNEL,
    ERROR_LENGTH,
    FOREVER,
    PREFIX,
    RESPONSE_LENGTH,
    VERSION_TABLE,
    attempt,
    dedup,
    destination,
    message,
    metadata,
    worker,
)

__all__ = [
    "CHANNEL",
    "ERROR_LENGTH",
    "FOREVER",
    "PREFIX",
    "RESPONSE_LENGTH",
    "VERSION_TABLE",
    "attempt",
    "dedup",
    "destination",
    "message",
    "metadata",
    "utc_after",
    "utc_now",
    "worker",
]
