"""Commits of others, noticed as they happen: what spares an idle worker to wait for its next look.

Only a hint. It may be early, late, lost, or about something else: looks that come by the clock are what is relied on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from sqlalchemy import Engine

from outbox.store.commits.notifications import notifications
from outbox.store.commits.readable import Lost, NotThere
from outbox.store.commits.writes import writes

__all__ = ["Lost", "NotThere", "commits"]


def commits(engine: Engine, *, listens: bool) -> AsyncGenerator[None]:
    """Yield each time somebody may have committed, and once when that begins to be noticed.

    On PostgreSQL only if it `listens`. Raises `Lost`, or `NotThere` where nothing of the kind is to be had.
    """
    if engine.dialect.name == "sqlite":
        return writes(engine)
    if engine.dialect.name == "postgresql" and listens:
        return notifications(engine)
    raise NotThere
