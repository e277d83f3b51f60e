"""The application: what it writes while workers run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

import outbox
from support.databases import Database


def engine_of(database: Database) -> Engine:
    """An engine as an application that writes beside a worker makes it."""
    engine = create_engine(database.url, hide_parameters=True)
    outbox.sqlite.configure(engine, immediate=True)
    return engine


def enqueue(engine: Engine, *, ordering_key: str | None = None, **properties: object) -> UUID:
    """Commit one event; its message's id."""
    event = outbox.Event.server("thing_done", project_id="project", properties=properties)
    with Session(engine) as session, session.begin():
        return outbox.enqueue(session, event, ordering_key=ordering_key)


@contextmanager
def woken() -> Iterator[None]:
    """Have what is enqueued in this process wake workers."""
    os.environ["OUTBOX_WAKE"] = "on"
    try:
        yield
    finally:
        del os.environ["OUTBOX_WAKE"]
