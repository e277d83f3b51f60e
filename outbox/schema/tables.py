"""The outbox's tables, as statements need them; `outbox.schema.ddl` adds what only creating them needs.

`migrations/` creates them; a test compares the two on every database.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, MetaData, String, Table

from outbox.schema.clock import utc_now
from outbox.schema.types import LongText, UtcDateTime, Uuid

VERSION_TABLE = "outbox_alembic_version"
"""Our own alembic version table: an application's migrations in the same database are left alone."""

PREFIX = "outbox_"
"""Every table and index of ours begins with this."""

CHANNEL = "outbox_message"
"""What PostgreSQL's NOTIFY tells workers of: there may be new messages."""

ERROR_LENGTH = 500
"""Longest recorded error, in bytes of UTF-8."""

RESPONSE_LENGTH = 1000
"""Longest recorded excerpt of an answer, in bytes of UTF-8."""

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
"""`paused_until` of a pause that only an operator ends."""

metadata = MetaData()

message = Table(
    "outbox_message",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("destination", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("body", LongText(), nullable=False),
    Column("state", String(9), nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lost", Integer, nullable=False, server_default="0"),
    Column("due_at", UtcDateTime(), nullable=False, default=utc_now()),
    # Who wrote last, and until when it holds the message. The token stays when a settle clears
    # `claimed_until`: after an ambiguous COMMIT it tells "my settle landed" from "I lost the lease".
    Column("claim_token", Uuid()),
    Column("claimed_until", UtcDateTime()),
    Column("ordering_key", String(255)),
    Column("on_unknown", String(5), nullable=False, server_default="retry"),
    Column("created_at", UtcDateTime(), nullable=False, default=utc_now()),
    Column("occurred_at", UtcDateTime(), nullable=False, default=utc_now()),
    Column("settled_at", UtcDateTime()),
    Column("failure_reason", String(32)),
    Column("last_status", Integer),
    Column("last_error", String(ERROR_LENGTH)),
    CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="outbox_message_state"),
    CheckConstraint("on_unknown IN ('retry', 'park')", name="outbox_message_on_unknown"),
    CheckConstraint("state <> 'failed' OR failure_reason IS NOT NULL", name="outbox_message_reason"),
)

dedup = Table(
    "outbox_dedup",
    metadata,
    Column("destination", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("message_id", Uuid(), nullable=False),
    Column("created_at", UtcDateTime(), nullable=False, default=utc_now()),
)

# No foreign key to the message: a settle would lock two rows, and a purge removes both.
attempt = Table(
    "outbox_attempt",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("message_id", Uuid(), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", UtcDateTime(), nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("status", Integer),
    Column("certainty", String(8), nullable=False),
    Column("error", String(ERROR_LENGTH), nullable=False),
    Column("response", String(RESPONSE_LENGTH)),
    Index("outbox_attempt_message", "message_id", "id"),
)

destination = Table(
    "outbox_destination",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("paused_until", UtcDateTime()),
    Column("reason", String(ERROR_LENGTH)),
    # A `Cause`; null where the destination is open. An automatic one stays in force when `paused_until` has passed,
    # until a probe has succeeded. Of a destination that is open `paused_until` is when it opened.
    Column("cause", String(11)),
    Column("paused_by", String(255)),
    Column("paused_at", UtcDateTime()),
    # Since when it has been failing: attempts recorded since then belong to this outage.
    Column("failing_since", UtcDateTime()),
    # How often a pause has doubled.
    Column("pauses", Integer, nullable=False, server_default="0"),
    # Who probes, and until when it has the turn.
    Column("probe_token", Uuid()),
    Column("probe_until", UtcDateTime()),
    # The first sending slot that is not handed out yet.
    Column("slot_at", UtcDateTime()),
)

worker = Table(
    "outbox_worker",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(32), nullable=False),
    Column("started_at", UtcDateTime(), nullable=False, default=utc_now()),
    Column("seen_at", UtcDateTime(), nullable=False, default=utc_now()),
    # What it waits for on its own, such as a network that only this host has lost.
    Column("trouble", String(ERROR_LENGTH)),
)
