"""The outbox's database for one command: opened, seen to be ours, its trouble explained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from outbox.store.engine import open_engine
from outbox.store.requirements import require_file
from outbox.store.sockets import cut_silence
from outbox.store.trouble import explained
from outbox.store.version import check_schema

ANSWER_SECONDS = 60.0
"""How long a command waits for an answer: a count in a big table may take its time."""


@contextmanager
def opened(database_url: str, *, answer: float = ANSWER_SECONDS) -> Iterator[Engine]:
    """Open the database for what the block does. `answer` is how many seconds a statement may take.

    Raises `DatabaseUnreachable`, `SchemaOutdated` or `ConfigurationError`, at the start or from within the block.
    """
    with opened_unchecked(database_url, answer=answer) as engine:
        with engine.connect() as connection:
            check_schema(connection)
        yield engine


@contextmanager
def opened_unchecked(database_url: str, *, answer: float = ANSWER_SECONDS) -> Iterator[Engine]:
    """Open the database, of whatever version its tables are. Raises as `opened` does."""
    engine = open_engine(database_url)
    cut_silence(engine, answer)
    try:
        require_file(engine.url)
        with explained(engine):
            yield engine
    finally:
        engine.dispose()
