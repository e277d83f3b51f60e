"""The outbox's tables.

Revision ID: 0001
Revises: none
Create Date: 2026-01-01

A migration is frozen: what it makes is written out here and not taken from `outbox.schema`, which moves on.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeEngine

from outbox.migrate.steps import create_index, create_table, drop_table, on

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def _uuid() -> TypeEngine[Any]:
    binary = sa.BINARY(16)
    return sa.CHAR(36).with_variant(postgresql.UUID(), "postgresql").with_variant(binary, "mysql", "mariadb")


def _moment() -> TypeEngine[Any]:
    """UTC to the microsecond; MariaDB's DATETIME alone is whole seconds."""
    aware, precise = postgresql.TIMESTAMP(timezone=True), mysql.DATETIME(fsp=6)
    return sa.CHAR(27).with_variant(aware, "postgresql").with_variant(precise, "mysql", "mariadb")


def _text() -> TypeEngine[Any]:
    """Bodies up to 16 MiB; MariaDB's TEXT ends at 64 KiB."""
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    """Make the tables, in an order in which each stands alone."""
    _create_message()
    _create_message_indexes()
    _create_dedup()
    _create_attempt()
    _create_destination()
    _create_worker()


def downgrade() -> None:
    """Remove the tables and all that is in them."""
    for name in ("worker", "destination", "attempt", "dedup", "message"):
        drop_table(f"outbox_{name}")


def _create_message() -> None:
    create_table(
        "outbox_message",
        sa.Column("id", _uuid(), primary_key=True),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("body", _text(), nullable=False),
        sa.Column("state", sa.String(9), nullable=False, server_default="pending"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lost", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("due_at", _moment(), nullable=False),
        sa.Column("claim_token", _uuid()),
        sa.Column("claimed_until", _moment()),
        sa.Column("ordering_key", sa.String(255)),
        sa.Column("on_unknown", sa.String(5), nullable=False, server_default="retry"),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("occurred_at", _moment(), nullable=False),
        sa.Column("settled_at", _moment()),
        sa.Column("failure_reason", sa.String(32)),
        sa.Column("last_status", sa.Integer()),
        sa.Column("last_error", sa.String(500)),
        sa.CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="outbox_message_state"),
        sa.CheckConstraint("on_unknown IN ('retry', 'park')", name="outbox_message_on_unknown"),
        sa.CheckConstraint("state <> 'failed' OR failure_reason IS NOT NULL", name="outbox_message_reason"),
    )
    if on("postgresql"):
        # fillfactor: a claim changes no indexed column, so where its page has room it is a heap-only update that
        # touches no index. At 100 a fifth of the claims found no room; at 80 all did, with 31 % less WAL for each
        # message (rows of 800 bytes, batches of 100; measured). Below 80 the table only grows.
        # autovacuum: every message leaves two dead rows behind. The default waits for a fifth of the table, which is
        # most of a day's traffic once delivered messages are kept; and stale statistics make the claim's plan wrong.
        op.execute(
            "ALTER TABLE outbox_message SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, "
            "autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0.02)"
        )


def _create_message_indexes() -> None:
    """Partial where the database can; on MariaDB and MySQL led by the predicate's columns instead."""
    if on("mysql"):
        head = ["destination", "state", "ordering_key"]
        create_index("outbox_message_pending", "outbox_message", [*head, "due_at", "id"])
        create_index("outbox_message_keyed", "outbox_message", [*head, "created_at", "id"])
        create_index("outbox_message_failed", "outbox_message", ["state", "id"])
        return
    for name, columns, where in (
        ("pending", ["destination", "due_at", "id"], "state = 'pending' AND ordering_key IS NULL"),
        (
            "keyed",
            ["destination", "ordering_key", "created_at", "id"],
            "state = 'pending' AND ordering_key IS NOT NULL",
        ),
        ("failed", ["id"], "state = 'failed'"),
        ("blocking", ["destination", "ordering_key"], "state = 'failed' AND ordering_key IS NOT NULL"),
    ):
        create_index(f"outbox_message_{name}", "outbox_message", columns, where=where)


def _create_dedup() -> None:
    create_table(
        "outbox_dedup",
        sa.Column("destination", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("message_id", _uuid(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
    )


def _create_attempt() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    create_table(
        "outbox_attempt",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("message_id", _uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", _moment(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("certainty", sa.String(8), nullable=False),
        sa.Column("error", sa.String(500), nullable=False),
        sa.Column("response", sa.String(1000)),
    )
    create_index("outbox_attempt_message", "outbox_attempt", ["message_id", "id"])


def _create_destination() -> None:
    create_table(
        "outbox_destination",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("paused_until", _moment()),
        sa.Column("reason", sa.String(500)),
    )


def _create_worker() -> None:
    create_table(
        "outbox_worker",
        sa.Column("id", _uuid(), primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("started_at", _moment(), nullable=False),
        sa.Column("seen_at", _moment(), nullable=False),
    )
