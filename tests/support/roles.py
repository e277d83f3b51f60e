"""A database user with a worker's documented rights and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from sqlalchemy import make_url

from support.databases import Database
from support.servers import PASSWORD, Server

_TABLES = ("outbox_message", "outbox_dedup", "outbox_attempt", "outbox_destination", "outbox_worker")
_VERSION = "outbox_alembic_version"
_numbers = count(1)


@contextmanager
def plain_role(database: Database, limit: str = "") -> Iterator[str]:
    """Give the database's URL for a role of its own; `limit` ends the statement that makes it."""
    assert database.server is not None
    name = f"plain_{next(_numbers)}"
    make, drop = (_postgresql if database.kind == "postgresql" else _mariadb)(name, limit)
    database.server.execute(*make, database=make_url(database.url).database)
    try:
        url = make_url(database.url).set(username=name, password=PASSWORD)
        yield url.render_as_string(hide_password=False)
    finally:
        _drop(database.server, drop, make_url(database.url).database)


def _drop(server: Server, statements: list[str], database: str | None) -> None:
    if server.pid is not None:
        server.execute(*statements, database=database)


def _postgresql(name: str, limit: str) -> tuple[list[str], list[str]]:
    make = [
        f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' {limit}",
        f"GRANT SELECT, INSERT, UPDATE ON {', '.join((*_TABLES, _VERSION))} TO {name}",
        f"GRANT DELETE ON outbox_worker TO {name}",
        f"GRANT USAGE ON SEQUENCE outbox_attempt_id_seq TO {name}",
    ]
    return make, [f"DROP OWNED BY {name}", f"DROP ROLE {name}"]


def _mariadb(name: str, limit: str) -> tuple[list[str], list[str]]:
    make = [f"CREATE USER {name}@'%' IDENTIFIED BY '{PASSWORD}' {limit}"]
    make += [f"GRANT SELECT, INSERT, UPDATE ON {table} TO {name}@'%'" for table in (*_TABLES, _VERSION)]
    make += [f"GRANT DELETE ON outbox_worker TO {name}@'%'"]
    return make, [f"DROP USER {name}@'%'"]
