"""Pauses that all workers share.

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-25

A migration is frozen: what it makes is written out here and not taken from `outbox.schema`, which moves on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeEngine

from outbox.migrate.steps import add_column, drop_column

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def _uuid() -> TypeEngine[Any]:
    binary = sa.BINARY(16)
    return sa.CHAR(36).with_variant(postgresql.UUID(), "postgresql").with_variant(binary, "mysql", "mariadb")


def _moment() -> TypeEngine[Any]:
    """UTC to the microsecond; MariaDB's DATETIME alone is whole seconds."""
    aware, precise = postgresql.TIMESTAMP(timezone=True), mysql.DATETIME(fsp=6)
    return sa.CHAR(27).with_variant(aware, "postgresql").with_variant(precise, "mysql", "mariadb")


def upgrade() -> None:
    """Add the columns. All have a constant default or none, so that no table is rewritten."""
    for column in _columns():
        add_column("outbox_destination", column)
    # No command of 0001 made a pause: one that is there was made by hand.
    op.execute("UPDATE outbox_destination SET cause = 'operator' WHERE cause IS NULL AND paused_until IS NOT NULL")
    add_column("outbox_worker", sa.Column("trouble", sa.String(500)))


def downgrade() -> None:
    """Remove the columns. A pause whose time has not passed stays one; no other does."""
    drop_column("outbox_worker", "trouble")
    for column in reversed([*_columns()]):
        drop_column("outbox_destination", column.name)


def _columns() -> Iterator[sa.Column[Any]]:
    yield sa.Column("cause", sa.String(11))
    yield sa.Column("paused_by", sa.String(255))
    yield sa.Column("paused_at", _moment())
    yield sa.Column("failing_since", _moment())
    yield sa.Column("pauses", sa.Integer(), nullable=False, server_default="0")
    yield sa.Column("probe_token", _uuid())
    yield sa.Column("probe_until", _moment())
    yield sa.Column("slot_at", _moment())
