"""The INSERT that is kept as text: the driver gets what SQLAlchemy would give it, and what an application asked of it is done."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, func, select, text

import outbox
from outbox.producer import prepared, rows
from outbox.schema import message, metadata
from support.databases import Database

MOMENT = datetime(2031, 5, 1, 12, 30, 0, 123456, tzinfo=UTC)
PLAIN = {"destination": "overcentric", "on_unknown": None, "delay": None, "deliver_at": None}


@contextmanager
def _handed_over(engine: Engine) -> Iterator[list[tuple[str, Any, bool]]]:
    """What reaches the driver: text, parameters, whether they are many."""
    seen: list[tuple[str, Any, bool]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, executemany: bool) -> None:  # noqa: FBT001 - SQLAlchemy's signature
        seen.append((statement, parameters, executemany))

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def memory() -> Iterator[Engine]:
    """Give an engine with our tables in memory."""
    engine = create_engine("sqlite://")
    outbox.sqlite.configure(engine)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("given", [{}, {"deliver_at": MOMENT}], ids=["plain", "times"])
@pytest.mark.parametrize("count", [1, 3])
def test_the_driver_is_given_what_sqlalchemy_would_give_it(
    database: Database, count: int, given: dict[str, Any]
) -> None:
    """Text and parameters are equal, for one row and for many, with every column that a row may have."""
    made = outbox.Event.server("thing_done", project_id="project", occurred_at=MOMENT if given else None)
    wanted = rows.many([made] * count, None, ["key"] * count if not given else None, PLAIN | given).rows
    with database.engine.begin() as connection, _handed_over(database.engine) as seen:
        if count == 1:
            prepared.execute_one(connection, wanted[0])
            connection.execute(text("DELETE FROM outbox_message"))
            connection.execute(prepared.INSERT, wanted[0])
        else:
            prepared.execute_many(connection, wanted)
            connection.execute(text("DELETE FROM outbox_message"))
            connection.execute(prepared.INSERT, wanted)
    ours, _, theirs = seen
    assert ours == theirs


def test_a_listener_that_wants_statements_is_shown_them(memory: Engine) -> None:
    """`before_execute` gets the INSERT into our table, as for every other table."""
    seen: list[Any] = []
    event.listen(memory, "before_execute", lambda _connection, clause, *_: seen.append(clause))
    made = outbox.Event.server("thing_done", project_id="project")
    with memory.begin() as connection:
        outbox.enqueue(connection, made)
        outbox.enqueue_many(connection, [made, made])
    assert [clause.table.name for clause in seen if clause.is_insert] == ["outbox_message"] * 2


def test_a_schema_per_tenant_is_heeded(memory: Engine) -> None:
    """`schema_translate_map` sends the rows where the application's own go."""
    made = outbox.Event.server("thing_done", project_id="project")
    with memory.connect() as plain:
        plain.exec_driver_sql("ATTACH DATABASE ':memory:' AS tenant")
        plain.rollback()
        there = plain.execution_options(schema_translate_map={None: "tenant"})
        metadata.create_all(there)
        outbox.enqueue(there, made)
        outbox.enqueue_many(there, [made, made])
        counts = [there.exec_driver_sql(f"SELECT count(*) FROM {name}.outbox_message") for name in ("main", "tenant")]
        assert [each.scalar() for each in counts] == [0, 3]


def test_an_engine_that_is_gone_leaves_nothing() -> None:
    """What is kept for an engine's dialect goes with it."""
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection:
        outbox.enqueue(connection, outbox.Event.server("thing_done", project_id="project"))
        assert connection.execute(select(func.count()).select_from(message)).scalar() == 1
    gone = weakref.ref(engine.dialect)
    assert gone() in prepared._prepared
    engine.dispose()
    del engine, connection
    gc.collect()
    assert gone() is None


def test_what_was_written_into_an_event_since_is_checked(memory: Engine) -> None:
    """An event is frozen but for its properties: they are a dict."""
    properties: Any = (made := outbox.Event.server("thing_done", project_id="project", properties={"a": 1})).properties
    properties["b"] = object()
    with memory.begin() as connection, pytest.raises(outbox.EventRefused, match=r"event\.properties\.b: is an object"):
        outbox.enqueue(connection, made)
