"""`outbox purge`: what was settled long ago goes, and nothing else."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import func, insert, select

from outbox.producer.ids import uuid7
from outbox.schema import attempt, dedup, message, utc_after
from outbox.store.purge import PAGE, Kept, find, remove, start_of
from support.commands import Console, add, add_attempt, at_a_terminal, rows
from support.databases import Database
from support.keeping import DAY, add_key, keys


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def settled(database: Database, days: float, state: str = "delivered") -> UUID:
    """Add a message that was settled so many days ago."""
    return add(database, state=state, settled_at=utc_after(-days * DAY))


def test_what_was_settled_long_ago_goes(outbox: Console, database: Database) -> None:
    """With the records of its attempts. Younger ones, other states and keys against duplicates stay."""
    old, young = settled(database, 31), settled(database, 29)
    failed, pending = settled(database, 40, "failed"), add(database)
    for each in (old, young, failed):
        add_attempt(database, each)
    with database.engine.begin() as connection:
        connection.execute(insert(dedup).values(destination="overcentric", key="order-1", message_id=old))
    ran = outbox("purge", "--state", "delivered", "--older-than", "30d", "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "removed 1 delivered, settled more than 30d ago\n"
    assert {row.id for row in rows(database)} == {young, failed, pending}
    with database.engine.connect() as connection:
        assert set(connection.execute(select(attempt.c.message_id)).scalars()) == {young, failed}
        assert connection.execute(select(func.count()).select_from(dedup)).scalar_one() == 1


def test_a_dry_run_only_counts(outbox: Console, database: Database) -> None:
    """It says what would go."""
    settled(database, 31, "failed")
    before = rows(database)
    ran = outbox("purge", "--state", "failed", "--older-than", "12h", "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "1 failed, settled more than 12h ago\n"
    assert rows(database) == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_where_nobody_can_be_asked(outbox: Console, database: Database) -> None:
    """A script must say that it means it."""
    settled(database, 31)
    before = rows(database)
    ran = outbox("purge", "--state", "delivered", "--older-than", "30d")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == ("outbox: Nobody can be asked here: add --yes, or --dry-run to count. See: outbox purge --help\n")
    assert rows(database) == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("y", 0)])
def test_a_person_is_asked(database: Database, answer: str, left: int) -> None:
    """The count comes before the question; no is exit 1."""
    settled(database, 31)
    options = ("--state", "delivered", "--older-than", "30d", "--database-url", database.url)
    code, screen = at_a_terminal(answer, "purge", *options)
    assert code == left
    assert "1 delivered, settled more than 30d ago" in screen
    assert len(rows(database)) == left


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--state", "pending", "--older-than", "30d"], "'pending' is not one of 'delivered', 'failed'"),
        (["--state", "delivered", "--older-than", "soon"], "'soon': expected how long ago, such as 12h, 30d"),
        (["--state", "delivered", "--older-than", "9999999d"], "'9999999d': expected less than a century"),
        (["--older-than", "30d"], "Say which: --state delivered, --state failed, or --dedup"),
        (["--older-than", "30d", "--dedup", "--state", "failed"], "Say which"),
        (["--state", "delivered"], "Missing option '--older-than'"),
    ],
)
def test_a_mistake_in_the_call(outbox: Console, options: list[str], words: str) -> None:
    """Exit 2, and what is expected."""
    ran = outbox("purge", *options, "--yes")
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err


def test_many_are_removed_page_by_page(outbox: Console, database: Database) -> None:
    """Each step looks at a thousand messages, old or not, and says where the next one begins."""
    ids = sorted(uuid7() for _ in range(PAGE + 500))
    moments = [utc_after(-(40 if place % 2 else 1) * DAY) for place in range(len(ids))]
    with database.engine.begin() as connection:
        for one, moment in zip(ids, moments, strict=True):
            connection.execute(
                insert(message).values(
                    id=one, destination="overcentric", name="n", body="{}", state="delivered", settled_at=moment
                )
            )
    with database.engine.begin() as connection:
        page = find(connection, Kept.DELIVERED, 30 * DAY, start_of(Kept.DELIVERED))
        assert remove(connection, Kept.DELIVERED, 30 * DAY, page.old) == len(page.old)
    assert (len(page.old), page.looked, page.reached) == (PAGE // 2, PAGE, (str(ids[PAGE - 1]),))
    assert outbox("purge", "--state", "delivered", "--older-than", "30d", "--yes").out.startswith("removed 250 ")
    assert {row.id for row in rows(database)} == set(ids[::2])


def test_old_keys_against_duplicates(outbox: Console, database: Database) -> None:
    """Whatever became of their messages, but for those that are pending; in any number of pages and destinations."""
    pending, done, gone = add(database), settled(database, 1), uuid7()
    with database.engine.begin() as connection:
        old = {"message_id": gone, "created_at": utc_after(-31 * DAY)}
        made = [old | {"destination": name, "key": f"{n}"} for name in ("crm", "overcentric") for n in range(PAGE)]
        for row in made:
            connection.execute(insert(dedup).values(**row))
    for key, owner, days in (("done", done, 31), ("pending", pending, 31), ("young", gone, 29)):
        add_key(database, key, owner, days)
    options = ("purge", "--dedup", "--older-than", "30d")
    ran = outbox(*options, "--dry-run")
    assert (ran.code, ran.out) == (0, f"{2 * PAGE + 1} keys against duplicates, made more than 30d ago\n")
    ran = outbox(*options, "--yes")
    assert (ran.code, ran.out) == (0, f"removed {2 * PAGE + 1} keys against duplicates, made more than 30d ago\n")
    assert keys(database) == {"pending", "young"}
    assert {row.id for row in rows(database)} == {pending, done}
