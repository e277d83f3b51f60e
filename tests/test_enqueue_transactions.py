"""An event lives and dies with the transaction that it was written in, whatever the driver."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text

import outbox
from outbox.schema import message, utc_now
from support.applications import Application, Way, Work, event, every_asking_way, every_way, ids, keys, messages
from support.databases import Database


@pytest.fixture
def app(database: Database, way: Way) -> Application:
    return Application(database, way)


@every_way
def test_a_committed_event_is_a_pending_message(app: Application) -> None:
    """What commits is stored whole, under the id that the call returned, due at once by the database's clock."""

    async def story(app: Application) -> UUID:
        async with app.work() as work:
            made = await work.enqueue(
                event(properties={"price": 29.99, "city": "Zürich"}), identity=outbox.Identity("user")
            )
            await work.commit()
            return made

    made = app.run(story)
    (row,) = messages(app.database)
    assert (row.id, row.destination, row.name) == (made, "overcentric", "order_placed")
    assert (row.state, row.attempts, row.lost, row.on_unknown) == ("pending", 0, 0, "retry")
    body = json.loads(row.body)
    assert body["event"]["properties"] == {"price": 29.99, "city": "Zürich"}
    assert body["identity"] == {"unique_identifier": "user", "project_id": "project"}
    with app.database.engine.connect() as connection:
        now = connection.scalar(select(utc_now()))
    assert now is not None
    for moment in (row.created_at, row.due_at, row.occurred_at):
        assert timedelta() <= now - moment < timedelta(seconds=30)
    assert row.claim_token is None
    assert row.settled_at is None


@every_way
def test_a_rolled_back_event_never_was(app: Application) -> None:
    """Neither rollback nor leaving without a commit keeps anything."""

    async def story(app: Application) -> None:
        async with app.work() as work:
            await work.enqueue(event())
            await work.enqueue_many([event(), event()])
            await work.rollback()
            await work.enqueue(event())

    app.run(story)
    assert ids(app.database) == []


@every_way
def test_an_event_of_a_rolled_back_savepoint_never_was(app: Application) -> None:
    """The savepoint's events are gone, those around it stay."""

    async def story(app: Application) -> list[UUID]:
        async with app.work() as work:
            before = await work.enqueue(event())
            savepoint = await work.savepoint()
            await work.enqueue(event())
            await savepoint.rollback()
            after = await work.enqueue(event())
            await work.commit()
            return [before, after]

    assert app.run(story) == ids(app.database)


@every_way
def test_a_released_savepoint_falls_with_its_transaction(app: Application) -> None:
    """A savepoint that begins the transaction, is released, and then rolled back from outside, keeps nothing."""

    async def story(app: Application) -> None:
        async with app.work() as work:
            savepoint = await work.savepoint()
            await work.enqueue(event())
            await work.enqueue_many([event(), event()])
            await savepoint.release()
            await work.rollback()

    app.run(story)
    assert ids(app.database) == []


@every_way
def test_a_released_savepoint_commits_with_its_transaction(app: Application) -> None:
    """What a released savepoint wrote is committed with the rest."""

    async def story(app: Application) -> UUID:
        async with app.work() as work:
            savepoint = await work.savepoint()
            made = await work.enqueue(event())
            await savepoint.release()
            await work.commit()
            return made

    assert [app.run(story)] == ids(app.database)


@every_way
def test_delay_counts_from_now_by_the_databases_clock(app: Application) -> None:
    """Seconds or a timedelta, for one event and for many."""

    async def story(app: Application) -> None:
        async with app.work() as work:
            await work.enqueue(event(), delay=90.5)
            await work.enqueue(event(), delay=timedelta(seconds=90, milliseconds=500))
            await work.enqueue_many([event(), event()], delay=90.5)
            await work.enqueue_many([event()], delay=90.5)
            await work.commit()

    app.run(story)
    waits = [row.due_at - row.created_at for row in messages(app.database)]
    assert len(waits) == 5
    # 10 ms: SQLite's clock is read in milliseconds, PostgreSQL reads its one at each statement.
    assert all(abs(wait - timedelta(seconds=90.5)) < timedelta(milliseconds=10) for wait in waits), waits


@every_way
def test_deliver_at_and_occurred_at_are_kept(app: Application) -> None:
    """Aware moments arrive as they were, to the microsecond, in UTC."""
    due = datetime(2031, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
    happened = datetime(2025, 5, 1, 12, 0, 0, 654321, tzinfo=UTC)

    async def story(app: Application) -> list[UUID]:
        async with app.work() as work:
            first = await work.enqueue(event(occurred_at=happened), deliver_at=due)
            # Some with a time of their own and some without, in one call.
            rest = await work.enqueue_many([event(), event(occurred_at=happened), event()], deliver_at=due)
            await work.commit()
            return [first, *rest]

    made = app.run(story)
    found = {row.id: row for row in messages(app.database)}
    assert [found[each].due_at for each in made] == [due] * 4
    assert [found[each].occurred_at == happened for each in made] == [True, False, True, False]


@every_way
def test_many_events_keep_their_order(app: Application) -> None:
    """Ids are returned in the order of the events, and sort in it; an empty list writes nothing."""
    names = [f"step_{number}" for number in range(250)]

    async def story(app: Application) -> list[UUID]:
        async with app.work() as work:
            assert await work.enqueue_many([]) == []
            made = await work.enqueue_many([event(name) for name in names], on_unknown="park")
            await work.commit()
            return made

    made = app.run(story)
    rows = messages(app.database)
    assert [row.id for row in rows] == made
    assert [row.name for row in rows] == names
    assert {row.on_unknown for row in rows} == {"park"}


@every_way
def test_many_large_events_are_written_in_several_statements(app: Application) -> None:
    """Bodies of three megabytes together go through, for every driver's limits."""

    async def story(app: Application) -> int:
        async with app.work() as work:
            large = event(properties={"text": "x" * 200_000})
            made = await work.enqueue_many([large] * 16)
            await work.commit()
            return len(made)

    assert app.run(story) == len(ids(app.database)) == 16


@every_asking_way
def test_a_repeated_key_returns_the_first_message(app: Application) -> None:
    """Within the transaction and in a later one, the repeat creates nothing."""

    async def story(app: Application) -> tuple[UUID, list[UUID]]:
        async with app.work() as work:
            first = await work.enqueue(event(), dedup_key="delivery-1")
            again = await work.enqueue(event("another"), dedup_key="delivery-1")
            await work.commit()
            later = await work.enqueue(event(), dedup_key="delivery-1")
            other = await work.enqueue(event(), dedup_key="Delivery-1")
            await work.commit()
            return first, [again, later, other]

    first, (again, later, other) = app.run(story)
    assert again == later == first != other
    assert ids(app.database) == [first, other]
    assert keys(app.database) == {"delivery-1": first, "Delivery-1": other}


@every_asking_way
def test_a_rolled_back_key_is_free(app: Application) -> None:
    """A key belongs to nobody until its transaction, or its savepoint, is kept."""

    async def story(app: Application) -> UUID:
        async with app.work() as work:
            await work.enqueue(event(), dedup_key="key")
            await work.rollback()
            savepoint = await work.savepoint()
            await work.enqueue(event(), dedup_key="key")
            await savepoint.rollback()
            made = await work.enqueue(event(), dedup_key="key")
            await work.commit()
            return made

    made = app.run(story)
    assert ids(app.database) == [made]
    assert keys(app.database) == {"key": made}


@every_asking_way
def test_many_events_with_keys(app: Application) -> None:
    """New keys, known keys, keys twice in one call and no key at all, together."""

    async def story(app: Application) -> tuple[UUID, list[UUID]]:
        async with app.work() as work:
            known = await work.enqueue(event("known"), dedup_key="known")
            await work.commit()
            wanted = ["b", None, "known", "a", "b", None]
            events = [event(f"step_{number}") for number in range(6)]
            made = await work.enqueue_many(events, dedup_keys=wanted)
            await work.commit()
            return known, made

    known, made = app.run(story)
    assert made[2] == known
    assert made[4] == made[0]
    assert len(set(made)) == 5
    written = {row.id: row.name for row in messages(app.database)}
    names = {made[0]: "step_0", made[1]: "step_1", made[3]: "step_3", made[5]: "step_5"}
    assert written == {known: "known", **names}
    assert keys(app.database) == {"known": known, "a": made[3], "b": made[0]}


@every_asking_way
def test_a_thousand_keys_at_once(app: Application) -> None:
    """A long list is claimed in slices, and repeating it creates nothing."""
    wanted = [f"key-{number}" for number in range(1100)]

    async def story(app: Application) -> tuple[list[UUID], list[UUID]]:
        async with app.work() as work:
            first = await work.enqueue_many([event()] * 1100, dedup_keys=wanted)
            await work.commit()
            again = await work.enqueue_many([event()] * 1100, dedup_keys=wanted[::-1])
            await work.commit()
            return first, again

    first, again = app.run(story)
    assert again == first[::-1]
    assert ids(app.database) == first


@every_way
def test_missing_tables_are_named(app: Application) -> None:
    """Where the outbox is not installed, the error says how to install it; on a queued event, the database's says so."""
    message.drop(app.database.engine)

    async def story(app: Application) -> None:
        async with app.work() as work:
            await work.enqueue(event())
            await work.commit()

    if app.way.carrier == "queued":
        with pytest.raises(Exception, match="outbox_message"):
            app.run(story)
    else:
        with pytest.raises(outbox.SchemaOutdated, match="outbox db upgrade"):
            app.run(story)


@pytest.mark.parametrize("driver", ["pymysql", "asyncmy"])
@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_many_events_are_few_statements_on_mariadb(database: Database, driver: str) -> None:
    """Its drivers send row by row as soon as one value is not a parameter."""

    async def story(app: Application) -> tuple[int, int]:
        async with app.work() as work:
            before = await _inserts(work)
            await work.enqueue_many([event()] * 300, delay=1)
            between = await _inserts(work)
            await work.enqueue_many([event()] * 300, dedup_keys=[f"{number}" for number in range(300)])
            return between - before, await _inserts(work) - between

    assert Application(database, Way(driver, "connection", awaits=driver == "asyncmy")).run(story) == (1, 2)


async def _inserts(work: Work) -> int:
    found = await work.execute(text("SHOW SESSION STATUS LIKE 'Com_insert'"))
    return int(found.one()[1])
