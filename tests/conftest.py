"""Fixtures: private servers, and a fresh database of each kind for each test.

A test that takes `database` runs three times, as `[sqlite]`, `[postgresql]` and `[mariadb]`; one that is about
some of them says so: `@pytest.mark.parametrize("database", ["postgresql"], indirect=True)`.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from outbox.testing import ThreadedFakeServer, fake_server
from support import databases
from support.databases import Database
from support.servers import MariaServer, PostgresServer, Server, ServerMissing
from support.workers import environment

S = TypeVar("S", bound=Server)


def pytest_configure() -> None:
    """Keep the developer's own settings out of the tests, and what a shell's background jobs ignore."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    for name in [*os.environ]:
        if name.startswith("OUTBOX_") or name == "CREDENTIALS_DIRECTORY":
            del os.environ[name]


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Leave the outbox's loggers as they were: commands that a test calls in this process configure them."""
    loggers = [logging.getLogger(name) for name in ("outbox", "outbox.audit")]
    before = [(each.level, each.propagate, each.handlers[:]) for each in loggers]
    yield
    for each, (level, propagate, handlers) in zip(loggers, before, strict=True):
        each.setLevel(level)
        each.propagate, each.handlers[:] = propagate, handlers


def _served(kind: type[S]) -> Iterator[S]:
    try:
        server = kind()
    except ServerMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    with server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give the session's PostgreSQL. A test that stops or kills one makes its own: `with PostgresServer() as server`."""
    yield from _served(PostgresServer)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaServer]:
    """Give the session's MariaDB. A test that stops or kills one makes its own: `with MariaServer() as server`."""
    yield from _served(MariaServer)


@pytest.fixture(params=["postgresql", "mariadb"])
def own_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Give a database with our tables on a server that is the test's own: it may be harmed."""
    kind = PostgresServer if request.param == "postgresql" else MariaServer
    with contextmanager(_served)(kind) as server:
        database = Database(request.param, server.create_database("shop"), server)
        databases.build_schema(database.url)
        yield database
        database.dispose()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return databases.sqlite_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: PostgresServer) -> str:
    return databases.postgres_template(postgres_server)


@pytest.fixture(scope="session")
def _maria_template(mariadb_server: MariaServer) -> list[str]:
    return databases.maria_template(mariadb_server)


@pytest.fixture(params=databases.KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Give a fresh database with our tables, of each kind in turn."""
    with _fresh(request, tmp_path, template=True) as fresh:
        yield fresh


@pytest.fixture(params=databases.KINDS)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Give a fresh database without any table, of each kind in turn."""
    with _fresh(request, tmp_path, template=False) as fresh:
        yield fresh


def _fresh(request: pytest.FixtureRequest, folder: Path, *, template: bool) -> AbstractContextManager[Database]:
    value = request.getfixturevalue
    if request.param == "postgresql":
        made = value("_postgres_template") if template else "template0"
        return databases.postgres_database(value("postgres_server"), made)
    if request.param == "mariadb":
        return databases.maria_database(value("mariadb_server"), value("_maria_template") if template else [])
    return databases.sqlite_database(folder, value("_sqlite_template") if template else None)


@pytest.fixture
def destination() -> Iterator[ThreadedFakeServer]:
    """Give a fake Event API that accepts what is valid; its script can be changed."""
    with fake_server() as server:
        yield server


@pytest.fixture
def settings(database: Database, destination: ThreadedFakeServer) -> dict[str, str]:
    """Give the environment of a worker between that database and that destination, with short times."""
    return environment(database.url, destination.url)
