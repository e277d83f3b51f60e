"""A server that cannot carry an outbox is refused, with what it lacks."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from sqlalchemy import create_engine

from outbox.errors import ConfigurationError
from outbox.store.requirements import check_server, check_version, mysql_version, server_version
from support.databases import Database

_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}


def test_the_servers_of_the_tests_are_good_enough(empty_database: Database) -> None:
    """The server says what it is, and passes."""
    with empty_database.engine.connect() as connection:
        name, version = server_version(connection)
        check_server(connection)
    assert name == _NAMES[empty_database.kind]
    assert len(version) >= 2


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("10.11.6-MariaDB-0+deb12u1", ("MariaDB", (10, 11, 6))),
        ("5.5.5-10.4.32-MariaDB-log", ("MariaDB", (10, 4, 32))),
        ("11.4.2-MariaDB", ("MariaDB", (11, 4, 2))),
        ("8.0.36", ("MySQL", (8, 0, 36))),
        ("8.0.36-28.1 (Percona)", ("MySQL", (8, 0, 36))),
        ("5.7.44-log", ("MySQL", (5, 7, 44))),
    ],
)
def test_mariadb_and_mysql_are_told_apart(shown: str, expected: tuple[str, tuple[int, ...]]) -> None:
    """Their version numbers mean different things, and MariaDB sometimes hides behind 5.5.5."""
    assert mysql_version(shown) == expected


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("PostgreSQL", (11, 22), (12, 0)),
        ("MariaDB", (10, 5, 99), (10, 6, 0)),
        ("MySQL", (8, 0, 0), (8, 0, 1)),
        ("MySQL", (5, 7, 44), (9, 0)),
        ("SQLite", (3, 34, 1), (3, 35, 0)),
    ],
)
def test_an_old_server_is_refused(name: str, old: tuple[int, ...], new: tuple[int, ...]) -> None:
    """The error names the server's version, the one that is needed, and why."""
    check_version(name, new)
    with pytest.raises(ConfigurationError, match=f"{name} .*needs .*Upgrade {name}") as refused:
        check_version(name, old)
    assert refused.value.exit_code == 78


def test_sqlite_without_its_json_functions_is_refused() -> None:
    """Where the library lacks them, which is played here by forbidding them: told at the start, not at a claim."""
    engine = create_engine("sqlite://")

    def forbid(action: int, first: object, *_: object) -> int:
        is_json = action == sqlite3.SQLITE_READ and first == "json_each"
        return sqlite3.SQLITE_DENY if is_json else sqlite3.SQLITE_OK

    with engine.connect() as connection:
        check_server(connection)
        driver: Any = connection.connection.driver_connection
        driver.set_authorizer(forbid)
        with pytest.raises(ConfigurationError, match="without its JSON functions"):
            check_server(connection)
    engine.dispose()
