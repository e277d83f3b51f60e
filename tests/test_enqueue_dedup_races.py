"""Two transactions with one `dedup_key` at the same time, with each driver."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.exc import DBAPIError

import outbox
from outbox.schema import message
from support.applications import Application, Way, event, every_asking_way, ids, keys
from support.databases import Database
from support.waiting import eventually

_WAITING = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
    "mariadb": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
}


class Rival:
    """The same application in another thread, which enqueues one event, or one in a list, and commits."""

    def __init__(self, app: Application, *, many: bool) -> None:
        self.app = Application(app.database, app.way)
        self.many = many
        self.begins = Event()
        self.made: UUID | None = None
        self.failed: BaseException | None = None
        self.thread = Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.made = self.app.run(self._story)
        except BaseException as error:  # noqa: BLE001 - told by `outcome`
            self.failed = error

    async def _story(self, app: Application) -> UUID:
        async with app.work() as work:
            self.begins.set()
            if self.many:
                made = (await work.enqueue_many([event(), event()], dedup_keys=[None, "key"]))[1]
            else:
                made = await work.enqueue(event(), dedup_key="key")
            await work.commit()
            return made

    def waits(self) -> None:
        """Return once the rival is seen to wait for a lock; SQLite has no way to see it."""
        assert self.begins.wait(10)
        sql = _WAITING.get(self.app.database.kind)
        if sql is not None:
            # MariaDB renews what innodb_trx shows only when nobody has looked for 100 ms.
            eventually(lambda: self._asked(sql) > 0, interval=0.15)
        assert self.thread.is_alive()

    def _asked(self, sql: str) -> int:
        with self.app.database.engine.connect() as connection:
            return int(connection.exec_driver_sql(sql).scalar_one())

    def outcome(self) -> UUID | None:
        """Give what the rival's call returned."""
        self.thread.join(20)
        assert not self.thread.is_alive()
        if self.failed is not None:
            raise self.failed
        return self.made


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
@every_asking_way
def test_the_second_waits_and_gets_the_firsts_id(database: Database, way: Way, *, many: bool) -> None:
    """While the first transaction is open nobody knows who owns the key; when it commits, it does."""

    async def story(app: Application) -> tuple[UUID, Rival]:
        async with app.work() as work:
            first = await work.enqueue(event(), dedup_key="key")
            rival = Rival(app, many=many)
            rival.waits()
            await work.commit()
            return first, rival

    first, rival = Application(database, way).run(story)
    assert rival.outcome() == first
    assert keys(database) == {"key": first}
    assert len(ids(database)) == (2 if many else 1)


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
@every_asking_way
def test_the_second_owns_the_key_when_the_first_rolls_back(database: Database, way: Way, *, many: bool) -> None:
    """A key claimed in vain is the next one's."""

    async def story(app: Application) -> tuple[UUID, Rival]:
        async with app.work() as work:
            first = await work.enqueue(event(), dedup_key="key")
            rival = Rival(app, many=many)
            rival.waits()
            await work.rollback()
            return first, rival

    first, rival = Application(database, way).run(story)
    second = rival.outcome()
    assert second is not None
    assert second != first
    assert keys(database) == {"key": second}
    assert len(ids(database)) == (2 if many else 1)


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
@every_asking_way
def test_a_snapshot_older_than_the_key(database: Database, way: Way, *, many: bool) -> None:
    """Under REPEATABLE READ MariaDB finds the owner that its snapshot hides; PostgreSQL asks to run the transaction again."""
    if database.kind == "sqlite":
        pytest.skip("a transaction of SQLite that wrote nothing and looks at an old snapshot cannot write at all")
    owner: list[UUID] = []

    async def story(app: Application) -> UUID:
        async with app.work() as work:
            await work.execute(select(message.c.id))
            owner.append(_committed(database))
            if many:
                return (await work.enqueue_many([event(), event()], dedup_keys=["other", "key"]))[1]
            return await work.enqueue(event(), dedup_key="key")

    app = Application(database, way, options={"isolation_level": "REPEATABLE READ"})
    if database.kind == "mariadb":
        assert app.run(story) == owner[0]
    else:
        with pytest.raises(DBAPIError) as caught:
            app.run(story)
        cause: Any = caught.value.orig
        assert cause.sqlstate == "40001"


def _committed(database: Database) -> UUID:
    with database.engine.begin() as connection:
        return outbox.enqueue(connection, event(), dedup_key="key")


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_lists_of_the_same_keys_do_not_deadlock(database: Database) -> None:
    """Keys are claimed in one order, whatever the order of the events: two lists meet at their first key."""
    wanted = [f"key-{number:03}" for number in range(200)]

    def enqueue_and_commit(order: list[str]) -> list[UUID]:
        engine = create_engine(database.url)
        with engine.begin() as connection:
            made = outbox.enqueue_many(connection, [event()] * len(order), dedup_keys=order)
        engine.dispose()
        return made

    with ThreadPoolExecutor(4) as pool:
        orders = [wanted, wanted[::-1]] * 4
        found = list(pool.map(enqueue_and_commit, orders))
    assert all(found[0] == (made if number % 2 == 0 else made[::-1]) for number, made in enumerate(found))
    assert ids(database) == sorted(found[0])
