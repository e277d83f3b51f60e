"""The database's URL as an application writes it, mapped to a synchronous driver."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from outbox.errors import ConfigurationError, DriverMissing, did_you_mean

# One dialect name a database (`mysql` also for MariaDB), so that every later `if` has three branches.
_DATABASES = {
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}
# For each database ours, with which all is tested, and those that applications name.
_OURS = {"postgresql": "psycopg", "mysql": "pymysql", "sqlite": "pysqlite"}
_APPLICATIONS = {
    "postgresql": {"psycopg", "psycopg_async", "psycopg2", "psycopg2cffi", "asyncpg", "pg8000"},
    "mysql": {"pymysql", "asyncmy", "aiomysql", "mysqldb", "mysqlconnector", "mariadbconnector", "cymysql"},
    "sqlite": {"pysqlite", "aiosqlite"},
}
_MODULES = {"pysqlite": "sqlite3"}
_EXTRAS = {"psycopg": "postgres", "pymysql": "mysql"}


def synchronous_url(text: str) -> URL:
    """Map any URL that an application uses to the one that our engines use.

    Raises `ConfigurationError` for what is no URL or another database, `DriverMissing` with the install command.
    """
    url = _parse(text)
    name, _, driver = url.drivername.partition("+")
    database = _DATABASES.get(name)
    if database is None:
        msg = f"OUTBOX_DATABASE_URL names the database {name!r}"
        raise ConfigurationError(msg, hint="The outbox lives in SQLite, PostgreSQL, MariaDB or MySQL.")
    if driver and driver not in _APPLICATIONS[database]:
        guess = did_you_mean(driver, _APPLICATIONS[database])
        msg = f"OUTBOX_DATABASE_URL names {driver!r}, which is no driver for {database} that the outbox knows{guess}"
        raise ConfigurationError(msg, hint=f"Write {database}://…")
    ours = _OURS[database]
    if not _installed(ours):
        msg = f"The driver {ours} for {database} is not installed"
        raise DriverMissing(msg, hint=f"Run: pip install 'overcentric-outbox[{_EXTRAS[ours]}]'")
    url = url.set(drivername=f"{database}+{ours}")
    return _absolute(url) if database == "sqlite" else _translate_options(url)


def shown_url(url: URL) -> str:
    """The URL without its password, for people and logs."""
    query = {key: "***" if "pass" in key.lower() else value for key, value in url.query.items()}
    return unquote(url.set(query=query).render_as_string(hide_password=True))


def _parse(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        # The text itself stays out of the message: it may hold a password.
        msg = "OUTBOX_DATABASE_URL is not a database URL"
        hint = "Write it like postgresql://user:password@host/database or sqlite:////var/lib/app/app.db."
        raise ConfigurationError(msg, hint=hint) from error
    if "@" in (url.host or ""):
        msg = "OUTBOX_DATABASE_URL has more than one @ before its database"
        raise ConfigurationError(msg, hint="Write an @ in a user name or password as %40.")
    return url


def _installed(driver: str) -> bool:
    return importlib.util.find_spec(_MODULES.get(driver, driver)) is not None


def is_relative(text: str) -> bool:
    """Whether it names a file of SQLite's that is another one in every working directory."""
    url = _parse(text)
    return url.get_backend_name() == "sqlite" and _names_a_path(url) and not Path(str(url.database)).is_absolute()


def _absolute(url: URL) -> URL:
    """A relative path means another file in every working directory: make it absolute, so that it shows."""
    return url.set(database=str(Path(str(url.database)).absolute())) if _names_a_path(url) else url


def _names_a_path(url: URL) -> bool:
    return url.database not in {None, "", ":memory:"} and not str(url.database).startswith("file:")


def _translate_options(url: URL) -> URL:
    """Translate TLS: asyncpg spells it `ssl=require`, libpq `sslmode=require`."""
    if "ssl" in url.query and url.drivername.endswith("+psycopg"):
        mode = url.query["ssl"]
        url = url.difference_update_query(["ssl"])
        return url.update_query_dict({"sslmode": "require" if mode in {"true", "True", "1"} else mode})
    return url
