"""The database's URL: as applications write it, mapped to our driver, shown without secrets."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from outbox.errors import ConfigurationError, DriverMissing
from outbox.store.engine import open_engine
from outbox.store.trouble import explained
from outbox.store.url import shown_url, synchronous_url


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        ("postgres://app:pw@db/shop", "postgresql+psycopg://app:***@db/shop"),
        ("postgresql://app:pw@db:5433/shop", "postgresql+psycopg://app:***@db:5433/shop"),
        ("postgresql+psycopg://app@db/shop", "postgresql+psycopg://app@db/shop"),
        ("postgresql+psycopg2://app@db/shop", "postgresql+psycopg://app@db/shop"),
        ("postgresql+asyncpg://db/shop?ssl=require", "postgresql+psycopg://db/shop?sslmode=require"),
        ("postgresql+asyncpg://db/shop?ssl=true", "postgresql+psycopg://db/shop?sslmode=require"),
        ("mysql://app:pw@db/shop", "mysql+pymysql://app:***@db/shop"),
        ("mysql+asyncmy://app:pw@db/shop", "mysql+pymysql://app:***@db/shop"),
        ("mysql+aiomysql://db/shop?charset=utf8", "mysql+pymysql://db/shop?charset=utf8"),
        ("mariadb://db/shop", "mysql+pymysql://db/shop"),
        ("mariadb+asyncmy://db/shop", "mysql+pymysql://db/shop"),
        ("sqlite:////var/app.db", "sqlite+pysqlite:////var/app.db"),
        ("sqlite+aiosqlite:////var/app.db", "sqlite+pysqlite:////var/app.db"),
        ("sqlite://", "sqlite+pysqlite://"),
        ("postgresql://db/shop?sslpassword=pw", "postgresql+psycopg://db/shop?sslpassword=***"),
    ],
)
def test_mapped(written: str, ours: str) -> None:
    """Whatever driver the application uses, the worker uses its synchronous one, and shows no password."""
    assert shown_url(synchronous_url(written)) == ours
    assert "pw" not in ours


def test_a_relative_file_is_shown_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path means another file in every directory, so the one that is meant is shown."""
    monkeypatch.chdir(tmp_path)
    assert shown_url(synchronous_url("sqlite:///outbox.db")) == f"sqlite+pysqlite:///{tmp_path}/outbox.db"


@pytest.mark.parametrize("written", ["nonsense", "", "postgresql://app:hunter2@db:port/shop", "a b c"])
def test_not_a_url(written: str) -> None:
    """What is no URL is refused without being repeated: it may hold a password."""
    with pytest.raises(ConfigurationError, match="is not a database URL") as caught:
        synchronous_url(written)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("postgresql+psycopg3://db/shop", "names 'psycopg3', which is no driver for postgresql"),
        ("mysql+pymsql://db/shop", "did you mean pymysql?"),
        ("sqlite+pysqlcipher:////shop.db", "no driver for sqlite"),
    ],
)
def test_an_unknown_driver(written: str, words: str) -> None:
    """A driver that nobody knows is probably a misspelling: it is named, not quietly replaced."""
    with pytest.raises(ConfigurationError) as caught:
        synchronous_url(written)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "written", ["postgresql://127.0.0.1:9/shop?sslmod=off", "mariadb://127.0.0.1:9/shop?chraset=x"]
)
def test_an_unknown_option(written: str) -> None:
    """An option of the URL that the driver does not know is named."""
    with pytest.raises(ConfigurationError, match=r"sslmod|chraset"):  # noqa: PT012 - either line may be the one
        engine = open_engine(written)
        with explained(engine):
            engine.connect()


def test_an_at_sign_in_a_password() -> None:
    """A password with an unescaped @ would be taken for part of the host, and shown: it is refused."""
    with pytest.raises(ConfigurationError, match="more than one @") as caught:
        synchronous_url("postgresql://app:hun@ter2@127.0.0.1/shop")
    assert "ter2" not in str(caught.value)
    assert "%40" in caught.value.hint


def test_another_database() -> None:
    """A database that the outbox cannot live in is named, with those that it can."""
    with pytest.raises(ConfigurationError, match=r"'oracle'.*SQLite, PostgreSQL, MariaDB or MySQL"):
        synchronous_url("oracle://app:hunter2@db/shop")


@pytest.mark.parametrize(("written", "extra"), [("postgresql://db/shop", "postgres"), ("mariadb://db/shop", "mysql")])
def test_a_missing_driver(written: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its driver a database is one line with the command that installs it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(DriverMissing) as caught:
        synchronous_url(written)
    assert caught.value.hint == f"Run: pip install 'overcentric-outbox[{extra}]'"
    assert caught.value.exit_code == 78
