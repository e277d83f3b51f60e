"""Where the database's URL leads, and through which driver."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from outbox.doctor.finding import Finding, ok, warning
from outbox.store.engine import Engine
from outbox.store.url import is_relative, synchronous_url

_ASYNC = ("aiosqlite", "asyncpg", "asyncmy", "aiomysql", "psycopg_async")


def location(database_url: str) -> Iterator[Finding]:
    """A path that means another file in another working directory; a driver whose SQLAlchemy part is not there."""
    if is_relative(database_url):
        path = Path(str(synchronous_url(database_url).database))
        text = f"the path of the SQLite file is relative: {path} here, another file for who runs elsewhere"
        remedy = f"Write sqlite:///{path} for the application and the worker, as a service has another directory"
        yield warning("database", text, remedy)
    named = database_url.partition("://")[0].partition("+")[2]
    if named in _ASYNC and importlib.util.find_spec("greenlet") is None:
        text = f"the URL names {named}, and SQLAlchemy's asyncio extension does not start without greenlet"
        yield warning("driver", text, "If the application runs here: pip install 'overcentric-outbox[async]'")


def driver(engine: Engine) -> Iterator[Finding]:
    """The driver of worker and commands. The application's own engine cannot be seen from here."""
    if engine.dialect.name != "sqlite":
        yield ok("driver", f"{engine.dialect.driver} {_installed_version(engine.dialect.driver)}")
        return
    python = ".".join(map(str, sys.version_info[:3]))
    text = f"sqlite3 of Python {python}; an application that uses savepoints calls outbox.sqlite.configure(engine)"
    yield ok("driver", text)


def _installed_version(package: str) -> str:
    """As its metadata has it: PyMySQL's `__version__` is that of the driver which it stands in for."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of an unknown version"
