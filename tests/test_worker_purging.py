"""What a worker takes away by itself: what is older than it is to be kept, and nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from outbox.schema import attempt, dedup, message, utc_after
from outbox.store import Store
from outbox.store.engine import open_engine
from outbox.store.purge import END, Kept, find, id_of, remove, start_of
from outbox.testing import ThreadedFakeServer
from outbox.worker import Mode, purging
from support.commands import add, add_attempt, rows
from support.databases import Database
from support.events import body
from support.keeping import DAY, add_key, id_from, keys, settled, work_until, working
from support.roles import plain_role
from support.rows import put
from support.waiting import eventually

BODY = json.dumps(body("minimal"))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first round begins with the worker."""
    monkeypatch.setattr(purging, "FIRST_SECONDS", 0.0)


def ids(database: Database) -> set[UUID]:
    return {row.id for row in rows(database)}


def test_what_is_too_old_goes(
    database: Database, destination: ThreadedFakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Each kind by its own age; records of attempts with their messages; a pending message stays, and so does its key."""
    caplog.set_level(logging.INFO)
    old, given_up = settled(database, 7.1), settled(database, 90.1, "failed")
    young, failed = settled(database, 6.9), settled(database, 89.9, "failed")
    pending = add(database, id=id_from(200), due_at=utc_after(DAY))
    for each in (old, given_up, young, failed):
        add_attempt(database, each)
    add_key(database, "old", old, 30.1)
    add_key(database, "young", old, 29.9)
    add_key(database, "of a pending one", pending, 200)
    work_until(database, destination.url, lambda: "removed 1 keys against duplicates" in caplog.text)
    assert ids(database) == {young, failed, pending}
    with database.engine.connect() as connection:
        assert set(connection.execute(select(attempt.c.message_id)).scalars()) == {young, failed}
    assert keys(database) == {"young", "of a pending one"}
    assert "removed 1 delivered, settled more than 7d ago" in caplog.text
    assert "removed 1 failed, settled more than 90d ago" in caplog.text


def test_what_is_kept_for_ever_stays(database: Database, destination: ThreadedFakeServer) -> None:
    """However old; others go by their own ages."""
    failed, old = settled(database, 3000, "failed"), settled(database, 0.1)
    add_key(database, "ancient", old, 3000)
    ages: dict[str, Any] = {"keep_delivered": 3600.0, "keep_failed": math.inf, "keep_dedup": math.inf}

    async def story() -> None:
        async with working(database.engine, destination.url, **ages):
            await asyncio.to_thread(eventually, lambda: ids(database) == {failed})
            await asyncio.sleep(0.2)  # what comes behind it

    asyncio.run(story())
    assert ids(database) == {failed}
    assert keys(database) == {"ancient"}


def test_bodies_are_wiped_before_their_messages_go(database: Database, destination: ThreadedFakeServer) -> None:
    """With a time of their own: of what was delivered so long ago only the body, of what has failed nothing."""
    old, young, failed = settled(database, 2), settled(database, 0.5), settled(database, 2, "failed")

    def bodies() -> dict[UUID, bool]:
        return {row.id: bool(row.body) for row in rows(database)}

    work_until(database, destination.url, lambda: not bodies()[old], keep_body=DAY)
    assert bodies() == {old: False, young: True, failed: True}


@pytest.mark.parametrize("whole", [False, True])
def test_a_round_begins_where_the_last_one_ended(
    database: Database, destination: ThreadedFakeServer, monkeypatch: pytest.MonkeyPatch, *, whole: bool
) -> None:
    """What lies far behind that, because it was settled late, is found by the next round that begins at the first row."""
    monkeypatch.setattr(purging, "BETWEEN_SECONDS", 0.05)
    if whole:
        monkeypatch.setattr(purging, "WHOLE_SECONDS", 0.0)
    first = settled(database, 8)

    async def story() -> None:
        async with working(database.engine, destination.url):
            await asyncio.to_thread(eventually, lambda: first not in ids(database))
            await asyncio.sleep(0.3)  # the other kinds' walks, and a round's end
            late = settled(database, 7.1, id=id_from(9))
            near = settled(database, 7.01)
            await asyncio.to_thread(eventually, lambda: near not in ids(database))
            if whole:
                await asyncio.to_thread(eventually, lambda: late not in ids(database))
            else:
                await asyncio.sleep(0.3)  # several rounds
                assert late in ids(database)

    asyncio.run(story())


def test_a_pass_ends_at_the_first_message_that_is_too_young(database: Database) -> None:
    """Ids begin with the time: of a table full of young messages nothing is looked at."""
    old = settled(database, 8)
    for _ in range(3):
        settled(database, 6)
    with database.engine.connect() as connection:
        until = id_of(connection, 7 * DAY)
        page = find(connection, Kept.DELIVERED, 7 * DAY, start_of(Kept.DELIVERED), until=until)
        assert (page.old, page.looked) == ([(str(old),)], 1)
        assert find(connection, Kept.DELIVERED, 7 * DAY, start_of(Kept.DELIVERED), until=END).looked == 4


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.parametrize("what", list(Kept), ids=lambda what: what.value)
def test_what_somebody_has_locked_is_passed_over(database: Database, what: Kept) -> None:
    """A purge waits for nobody, so that no claim and no settle waits for a purge; the next round finds it."""
    state = "failed" if what is Kept.FAILED else "delivered"
    for days in (9, 8):
        add_key(database, f"{days}", settled(database, days, state), days)
    with closing(Store(database.engine)) as store, database.engine.connect() as other, other.begin():
        other.execute(text("SELECT 1 FROM outbox_message ORDER BY id LIMIT 1 FOR UPDATE"))
        key = (dedup.c.destination == "overcentric", dedup.c.key == "9")
        other.execute(select(dedup.c.key).where(*key).with_for_update())
        assert store.purge(what, 7 * DAY, start_of(what), until=END, size=10) == (1, None)
        other.rollback()
        assert store.purge(what, 7 * DAY, start_of(what), until=END, size=10) == (1, None)


def test_what_was_sent_again_meanwhile_stays(database: Database) -> None:
    """It is judged twice: when it is found, and when it is locked."""
    one = settled(database, 100, "failed")
    kept = add(database, due_at=utc_after(DAY))
    add_key(database, "key", kept, 100)
    with database.engine.begin() as connection:
        page = find(connection, Kept.FAILED, DAY, start_of(Kept.FAILED))
        assert page.old == [(str(one),)]
        connection.execute(text("UPDATE outbox_message SET state = 'pending'"))
        assert remove(connection, Kept.FAILED, DAY, page.old) == 0
        assert remove(connection, Kept.KEYS, DAY, [("overcentric", "key")]) == 0
    assert one in ids(database)
    assert keys(database) == {"key"}


@pytest.mark.parametrize("mode", [Mode.DRAIN, Mode.ONCE])
def test_a_worker_that_ends_by_itself_purges_nothing(
    database: Database, destination: ThreadedFakeServer, mode: Mode
) -> None:
    """It has been started to deliver, and others wait for its end."""
    old = settled(database, 8)
    put(database, 2, body=BODY)
    destination.script = "delay=300ms"

    async def story() -> None:
        async with working(database.engine, destination.url, mode) as running:
            await asyncio.wait_for(asyncio.shield(running), 20)

    asyncio.run(story())
    assert destination.count == 2
    assert old in ids(database)


def test_a_stop_does_not_wait_for_a_round(
    database: Database, destination: ThreadedFakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it finishes what is in flight nothing more is begun; what is left is left to the next worker."""
    monkeypatch.setattr(purging, "PAGE", 1)
    monkeypatch.setattr(purging, "SHARE", 0.02)
    for place in range(200):
        settled(database, 8 + place / 1000)
    put(database, 1, body=BODY)
    destination.script = "delay=1s"
    left = 0

    async def story() -> None:
        nonlocal left
        async with working(database.engine, destination.url):
            await asyncio.to_thread(eventually, lambda: len(ids(database)) < 200)
            await asyncio.to_thread(eventually, lambda: destination.count)
            left = len(ids(database))  # and one is in flight, for which the worker waits

    asyncio.run(story())
    assert 0 < left - 2 <= len(ids(database))


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_user_that_must_not_delete(
    database: Database,
    destination: ThreadedFakeServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said once, with the database's words; messages are delivered, and bodies are wiped, all the same."""
    monkeypatch.setattr(purging, "BETWEEN_SECONDS", 0.05)
    old, young = settled(database, 8), settled(database, 2)
    add_key(database, "old", old, 31)
    with plain_role(database) as url:
        engine = open_engine(url)

        def is_over() -> bool:
            by_id = {row.id: row for row in rows(database)}
            return by_id[fresh].state == "delivered" and not by_id[young].body

        (put_one,) = put(database, 1, body=BODY)
        fresh = UUID(put_one)

        async def story() -> None:
            async with working(engine, destination.url, keep_body=DAY):
                await asyncio.to_thread(eventually, is_over)
                await asyncio.to_thread(eventually, lambda: "old messages stay" in caplog.text)
                await asyncio.sleep(0.5)  # more rounds

        asyncio.run(story())
        engine.dispose()
    assert old in ids(database)
    said = [record.getMessage() for record in caplog.records if "old messages stay" in record.getMessage()]
    assert len(said) == 1, said
    assert "lacks a right" in said[0]
    assert "denied" in said[0]


def test_trouble_is_said_and_waited_for(
    database: Database, destination: ThreadedFakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """As that of any other statement: once, with a next step, until it works again."""
    add_key(database, "old", settled(database, 1), 31)
    rename = "ALTER TABLE {} RENAME TO {}"
    with database.engine.begin() as connection:
        connection.execute(text(rename.format("outbox_dedup", "elsewhere")))

    async def story() -> None:
        async with working(database.engine, destination.url):
            await asyncio.to_thread(eventually, lambda: "waiting: " in caplog.text)
            with database.engine.begin() as connection:
                connection.execute(text(rename.format("elsewhere", "outbox_dedup")))
            await asyncio.to_thread(eventually, lambda: not keys(database))
            await asyncio.to_thread(eventually, lambda: "the database works again" in caplog.text)

    asyncio.run(story())
    assert caplog.text.count("waiting: ") == 1


def test_two_workers_purge_together(database: Database, destination: ThreadedFakeServer) -> None:
    """They do not get in each other's way, and everything goes once."""
    for place in range(300):
        settled(database, 8 + place / 1000)
    young = settled(database, 1)

    async def story() -> None:
        async with working(database.engine, destination.url), working(database.engine, destination.url):
            await asyncio.to_thread(eventually, lambda: ids(database) == {young})

    asyncio.run(story())
    with database.engine.connect() as connection:
        assert connection.execute(select(message.c.state)).scalars().all() == ["delivered"]
