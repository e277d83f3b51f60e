"""Room in MariaDB's rows for what claims and settles write.

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-27

A migration is frozen: what it makes is written out here and not taken from `outbox.schema`, which moves on.
"""

from __future__ import annotations

import sqlalchemy as sa

from outbox.migrate.steps import add_column, drop_column, on

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

# As many bytes as are still to come: 16 of the token, 8 of one time (a settle writes the one and clears the other), 4 of the
# status, 2 by which "delivered" is longer than "pending".
_ROOM = (
    "repeat('.', case when settled_at is not null then 0 when claimed_until is not null then 6"
    " when claim_token is not null then 14 else 30 end)"
)


def upgrade() -> None:
    """Add the column on MariaDB and MySQL, which copy the table for it. The others need none."""
    if on("mysql"):
        add_column("outbox_message", sa.Column("room", sa.VARBINARY(30), sa.Computed(_ROOM, persisted=True)))


def downgrade() -> None:
    """Remove the column."""
    if on("mysql"):
        drop_column("outbox_message", "room")
