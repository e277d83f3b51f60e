"""The database: whether it is there, is ours, keeps what it has committed, and who works on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from outbox.doctor.clock import clock
from outbox.doctor.durability import durability
from outbox.doctor.finding import Finding, ok, raised
from outbox.doctor.location import driver, location
from outbox.doctor.work import messages, wake, workers
from outbox.errors import ConfigurationError, OutboxError, SchemaOutdated
from outbox.settings import Settings
from outbox.store.engine import Connection
from outbox.store.opened import opened_unchecked
from outbox.store.requirements import check_server, server_version
from outbox.store.url import shown_url, synchronous_url
from outbox.store.version import check_schema

Check = Callable[[Connection, Settings], Iterator[Finding]]

_ON_THE_SERVER: tuple[Check, ...] = (durability, clock)
_ON_THE_TABLES: tuple[Check, ...] = (workers, messages, wake)


def database(settings: Settings) -> Iterator[Finding]:
    """All checks of the database; those of the tables only where they are there."""
    try:
        synchronous_url(settings.database_url)
    except ConfigurationError as error:
        yield raised("database", error)
        return
    yield from location(settings.database_url)
    try:
        with opened_unchecked(settings.database_url) as engine, engine.connect() as connection:
            yield from driver(engine)
            yield from _run(connection, settings, (_server, *_ON_THE_SERVER))
            tables = [*_run(connection, settings, (_schema,))]
            yield from tables
            if all(each.remedy is None for each in tables):
                yield from _run(connection, settings, _ON_THE_TABLES)
    except SchemaOutdated as error:
        yield raised("schema", error)
    except OutboxError as error:
        yield raised("database", error)


def _run(connection: Connection, settings: Settings, checks: tuple[Check, ...]) -> Iterator[Finding]:
    """Each in a transaction of its own, which writes nothing."""
    for check in checks:
        try:
            found = [*check(connection, settings)]
        finally:
            connection.rollback()
        yield from found


def _server(connection: Connection, _settings: Settings) -> Iterator[Finding]:
    check_server(connection)
    name, version = server_version(connection)
    yield ok("database", f"{name} {'.'.join(map(str, version))} at {shown_url(connection.engine.url)}")


def _schema(connection: Connection, _settings: Settings) -> Iterator[Finding]:
    try:
        check_schema(connection)
    except SchemaOutdated as error:
        yield raised("schema", error)
    else:
        yield ok("schema", "the tables are those of this program")
