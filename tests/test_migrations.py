"""The migrations make what the code expects, on every database, and can be cut off and gone on with."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pymysql
import pytest
from pymysql.constants import CLIENT
from sqlalchemy import Engine, create_engine, event, insert, inspect, text

from outbox import migrate
from outbox.errors import ConfigurationError, OutboxError, ProgramOutdated, SchemaOutdated
from outbox.migrate.folder import migrations_folder
from outbox.schema import VERSION_TABLE, destination, utc_after, worker
from outbox.schema.ddl import metadata
from outbox.schema.version import HEAD
from outbox.store.engine import open_engine
from outbox.store.version import check_schema, schema_version
from support.catalogue import tables
from support.databases import Database


def described(engine: Engine) -> dict[str, list[str]]:
    with engine.connect() as connection:
        return {name: facts for name, facts in tables(connection).items() if name != VERSION_TABLE}


def intended(database: Database) -> dict[str, list[str]]:
    """What `outbox.schema` describes, made and removed again."""
    metadata.create_all(database.engine)
    found = described(database.engine)
    metadata.drop_all(database.engine)
    assert described(database.engine) == {}
    return found


@contextmanager
def cut_off_at(engine: Engine, statement: int) -> Iterator[None]:
    """Raise in place of the nth statement that changes the schema."""
    seen = 0

    def count(_connection: Any, _cursor: Any, sql: str, *_: object) -> None:
        nonlocal seen
        if sql.lstrip().startswith(("CREATE", "ALTER", "INSERT", "DROP", "DELETE")):
            seen += 1
            if seen == statement:
                raise InterruptedError

    event.listen(engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", count)


def test_the_migrations_make_what_the_code_describes(empty_database: Database) -> None:
    """Columns, types, defaults, keys, indexes with predicates, checks and collations are those of `outbox.schema`."""
    wanted = intended(empty_database)
    assert set(wanted) == set(metadata.tables)
    migrate.upgrade(empty_database.engine)
    assert described(empty_database.engine) == wanted


def test_the_statements_applied_by_hand_make_the_same(empty_database: Database) -> None:
    """What `--sql` prints, run through the bare driver, gives the same schema, recorded as migrated."""
    wanted = intended(empty_database)
    by_hand(empty_database, migrate.sql(empty_database.engine.dialect.name, "base:head"))
    assert described(empty_database.engine) == wanted
    assert migrate.upgrade(empty_database.engine) == migrate.Change(HEAD, HEAD)
    by_hand(empty_database, migrate.sql(empty_database.engine.dialect.name, "head:base", down=True))
    assert described(empty_database.engine) == {}
    assert migrate.current(empty_database.engine) == []


def by_hand(database: Database, statements: str) -> None:
    url = database.engine.url
    if database.kind == "sqlite":
        file = sqlite3.connect(str(url.database))
        file.executescript(statements)
        file.close()
    elif database.kind == "postgresql":
        with psycopg.connect(
            host=url.host, port=url.port, user=url.username, dbname=url.database, autocommit=True
        ) as connection:
            connection.execute(statements.encode())
    else:
        session = pymysql.connect(
            host=url.host,
            port=url.port or 0,
            user=url.username,
            password=str(url.password),
            database=url.database,
            autocommit=True,
            client_flag=CLIENT.MULTI_STATEMENTS,
            ssl_disabled=True,
        )
        with session, session.cursor() as cursor:
            cursor.execute(statements)
            while cursor.nextset():
                pass


def test_up_and_down_and_up(empty_database: Database) -> None:
    """A downgrade to base leaves no table of ours, and the way up is open again."""
    engine = empty_database.engine
    assert migrate.upgrade(engine) == migrate.Change(None, HEAD)
    assert migrate.upgrade(engine) == migrate.Change(HEAD, HEAD)
    wanted = described(engine)
    assert migrate.downgrade(engine, "base") == migrate.Change(HEAD, None)
    assert described(engine) == {}
    assert migrate.upgrade(engine) == migrate.Change(None, HEAD)
    assert described(engine) == wanted


def test_a_migration_cut_off_anywhere_can_be_run_again(empty_database: Database) -> None:
    """PostgreSQL and SQLite undo what was begun; on MariaDB the next run goes on where the last one ended."""
    engine = empty_database.engine
    wanted = intended(empty_database)
    for statement in range(1, 80):
        with cut_off_at(engine, statement):
            try:
                migrate.upgrade(engine)
            except InterruptedError:
                if empty_database.kind != "mariadb":
                    assert inspect(engine).get_table_names() == []
            else:
                break
        assert HEAD not in migrate.current(engine)
        assert migrate.upgrade(engine).after == HEAD
        assert described(engine) == wanted
        migrate.downgrade(engine, "base")
        with engine.begin() as connection:
            connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
    assert statement > 20
    assert migrate.current(engine) == [HEAD]


def test_a_downgrade_cut_off_anywhere_can_be_run_again(empty_database: Database) -> None:
    """Whatever table was the last one to be dropped, the next run drops the rest."""
    engine = empty_database.engine
    for statement in range(1, 80):
        migrate.upgrade(engine)
        with cut_off_at(engine, statement):
            try:
                migrate.downgrade(engine, "base")
            except InterruptedError:
                assert migrate.current(engine) != []
            else:
                break
        assert migrate.downgrade(engine, "base").after is None
        assert described(engine) == {}
    assert statement > len(metadata.tables)


def test_a_filled_table_goes_up_and_down(empty_database: Database) -> None:
    """Pauses and workers that are there keep what they say; a pause made by hand is an operator's."""
    engine = empty_database.engine
    migrate.upgrade(engine, "0001")
    with engine.begin() as connection:
        connection.execute(insert(destination).values(name="crm", paused_until=utc_after(60.0), reason="by hand"))
        connection.execute(insert(destination).values(name="mail"))
        connection.execute(insert(worker).values(id=uuid4(), host="host", pid=1, version="0"))
    migrate.upgrade(engine)
    added = "SELECT name, reason, cause, pauses, probe_token FROM outbox_destination ORDER BY name"
    with engine.connect() as connection:
        rows = connection.execute(text(added)).all()
        assert [tuple(row) for row in rows] == [("crm", "by hand", "operator", 0, None), ("mail", None, None, 0, None)]
        assert connection.execute(text("SELECT pid, trouble FROM outbox_worker")).one() == (1, None)
    migrate.downgrade(engine, "0001")
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM outbox_destination ORDER BY name")).all()
        assert [(row.name, row.reason) for row in rows] == [("crm", "by hand"), ("mail", None)]
        assert len(connection.execute(text("SELECT * FROM outbox_worker")).one()) == 6
    assert migrate.upgrade(engine) == migrate.Change("0001", HEAD)


_KILLED = """
import os, signal, sys
from sqlalchemy import event
from outbox import migrate
from outbox.store.engine import open_engine
engine = open_engine(sys.argv[1])
@event.listens_for(engine, "before_cursor_execute")
def _(connection, cursor, sql, *rest):
    if "outbox_destination" in sql and "CREATE TABLE" in sql:
        os.kill(os.getpid(), signal.SIGKILL)
migrate.upgrade(engine)
"""


def test_a_killed_migration_can_be_run_again(empty_database: Database) -> None:
    """SIGKILL in the middle leaves no lock behind and nothing that stops the next run."""
    wanted = intended(empty_database)
    killed = subprocess.run([sys.executable, "-c", _KILLED, empty_database.url], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert migrate.current(empty_database.engine) == []
    assert migrate.upgrade(empty_database.engine) == migrate.Change(None, HEAD)
    assert described(empty_database.engine) == wanted


def test_a_failed_migration_holds_nobody_up(empty_database: Database) -> None:
    """Its connection goes back to the pool without the lock."""
    with cut_off_at(empty_database.engine, 3), pytest.raises(InterruptedError):
        migrate.upgrade(empty_database.engine)
    other = open_engine(empty_database.url)
    assert migrate.upgrade(other).after == HEAD
    other.dispose()


def test_a_table_of_the_same_name_is_not_taken_for_ours(empty_database: Database) -> None:
    """An application's own `outbox_message` is named in the error, and left as it is."""
    with empty_database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE outbox_message (id INTEGER, note VARCHAR(10))"))
        connection.execute(text("INSERT INTO outbox_message VALUES (1, 'mine')"))
    with pytest.raises(ConfigurationError, match="outbox_message already"):
        migrate.upgrade(empty_database.engine)
    with empty_database.engine.connect() as connection:
        assert connection.scalar(text("SELECT note FROM outbox_message")) == "mine"


def test_a_database_of_a_newer_program_is_left_alone(database: Database) -> None:
    """A revision that this program does not know ends every verb, and the hint is to upgrade the program."""
    with database.engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0999'"))
    for verb in (migrate.upgrade, lambda engine: migrate.downgrade(engine, "base")):
        with pytest.raises(ProgramOutdated, match=r"0999.*Upgrade this program"):
            verb(database.engine)
    with database.engine.connect() as connection, pytest.raises(ProgramOutdated, match=r"0999.*Upgrade this program"):
        check_schema(connection)


def test_the_worker_knows_the_version_without_alembic(database: Database) -> None:
    """The constant in the code is the newest migration, and the check asks for the missing ones."""
    assert migrate.heads() == [HEAD]
    with database.engine.connect() as connection:
        assert schema_version(connection) == HEAD
        check_schema(connection)
    migrate.downgrade(database.engine, "base")
    with database.engine.connect() as connection:
        assert schema_version(connection) is None
        with pytest.raises(SchemaOutdated, match=r"missing.*outbox db upgrade"):
            check_schema(connection)
        assert connection.scalar(text("SELECT 1")) == 1
    with database.engine.begin() as connection:
        connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES ('0000')"))
    with database.engine.connect() as connection, pytest.raises(SchemaOutdated, match=r"version 0000.*db upgrade"):
        check_schema(connection)


def test_the_check_needs_no_table(empty_database: Database) -> None:
    """On a database without any table the check says what to do, and the transaction goes on."""
    with empty_database.engine.connect() as connection:
        assert schema_version(connection) is None
        with pytest.raises(SchemaOutdated, match="missing"):
            check_schema(connection)
        assert connection.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_claim_finds_room_on_its_page(database: Database) -> None:
    """On PostgreSQL the table leaves room for heap-only updates and is vacuumed long before a fifth of it is dead."""
    with database.engine.connect() as connection:
        options = connection.scalar(text("SELECT reloptions FROM pg_class WHERE relname = 'outbox_message'"))
    assert set(options or ()) == {
        "fillfactor=80",
        "autovacuum_vacuum_scale_factor=0.01",
        "autovacuum_vacuum_threshold=1000",
        "autovacuum_analyze_scale_factor=0.02",
    }


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_a_latin1_server_still_keeps_every_character(database: Database) -> None:
    """The tables name their character set; the server's default is not inherited."""
    with database.engine.begin() as connection:
        assert connection.scalar(text("SELECT @@character_set_server")) == "latin1"
        connection.execute(text("INSERT INTO outbox_destination (name, reason) VALUES ('é', '🛒 ж')"))
        assert connection.scalar(text("SELECT reason FROM outbox_destination WHERE name = 'é'")) == "🛒 ж"
        assert connection.scalar(text("SELECT COUNT(*) FROM outbox_destination WHERE name = 'É'")) == 0


@pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)
def test_a_role_without_rights_is_told_so(empty_database: Database) -> None:
    """Since PostgreSQL 15 an ordinary role may not create in `public`: one sentence, no traceback."""
    assert empty_database.server is not None
    empty_database.server.execute("DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN PASSWORD 'guest'")
    url = empty_database.engine.url.set(username="guest", password="guest").render_as_string(hide_password=False)
    engine = open_engine(url)
    with pytest.raises(ConfigurationError, match="does not let us make tables"):
        migrate.upgrade(engine)
    engine.dispose()


@pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)
def test_a_read_only_database_is_told_apart(empty_database: Database) -> None:
    """A standby or a read-only database is named as such."""
    assert empty_database.server is not None
    empty_database.server.execute(
        f"ALTER DATABASE {empty_database.engine.url.database} SET default_transaction_read_only = on"
    )
    with pytest.raises(ConfigurationError, match="read-only"):
        migrate.upgrade(empty_database.engine)


def test_any_engine_migrates_safely(empty_database: Database) -> None:
    """An application's own engine, with its driver's stock settings, gives the same schema."""
    wanted = intended(empty_database)
    engine = create_engine(empty_database.url)
    assert migrate.upgrade(engine).after == HEAD
    engine.dispose()
    assert described(empty_database.engine) == wanted


def test_an_unknown_revision_changes_nothing(empty_database: Database) -> None:
    """A revision that does not exist is named in the error."""
    with pytest.raises(OutboxError, match="9999"):
        migrate.upgrade(empty_database.engine, "9999")
    assert described(empty_database.engine) == {}


def test_every_revision_is_a_number_and_builds_on_the_one_before() -> None:
    """The worker tells older from newer by the number, so there is one line of them."""
    revisions = migrate.history()
    assert [each.revision for each in revisions] == [f"{n:04}" for n in range(1, len(revisions) + 1)]
    assert [each.before for each in revisions] == [None, *(each.revision for each in revisions[:-1])]
    assert all(each.summary for each in revisions)


def test_a_developer_writes_the_next_revision(tmp_path: Path) -> None:
    """`alembic revision` in the source tree takes the next number and our template."""
    root = migrations_folder().parent
    copy = tmp_path / "tree"
    shutil.copytree(root / "migrations", copy / "migrations")
    shutil.copy(root / "alembic.ini", copy)
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "revision", "-m", "more"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OUTBOX_DATABASE_URL": f"sqlite:///{tmp_path}/dev.db"},
    )
    assert done.returncode == 0, done.stderr
    written = copy / "migrations" / "versions" / f"{int(HEAD) + 1:04}_more.py"
    assert f'down_revision: str | None = "{HEAD}"' in written.read_text().replace("'", '"')
