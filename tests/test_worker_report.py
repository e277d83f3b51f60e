"""What the worker says of its database's trouble: each once, in whatever form it comes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from outbox.errors import DatabaseUnreachable, OutboxError
from outbox.schema import VERSION_TABLE
from outbox.store.requirements import require_file
from outbox.store.trouble import explained
from outbox.store.version import check_schema
from outbox.worker.report import Doing, Report


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if each.levelno == logging.ERROR]


def test_tables_that_come_bit_by_bit_are_one_trouble(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As `outbox db upgrade` runs: no file, no tables, an old version. That the program is too old is another trouble."""
    url = make_url(f"sqlite:///{tmp_path / 'late.db'}")
    engine = create_engine(url)
    report = Report()

    def bear(what: Callable[[], object]) -> None:
        with pytest.raises(OutboxError) as caught:
            what()
        report.trouble(Doing.CLAIM, caught.value)

    def check() -> None:
        with engine.connect() as connection:
            check_schema(connection)

    def run(statement: str) -> None:
        with engine.begin() as connection:
            connection.execute(text(statement))

    def select() -> None:
        with explained(engine):
            run("SELECT id FROM outbox_message")

    bear(lambda: require_file(url))
    run(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32))")
    bear(check)
    bear(select)
    run(f"INSERT INTO {VERSION_TABLE} VALUES ('0000')")
    bear(check)
    assert len(_said(caplog)) == 1
    assert "version 0000" in (report.waits_for or ""), "what it waits for is up to date all the same"
    run(f"UPDATE {VERSION_TABLE} SET version_num = '0999'")
    bear(check)
    assert len(_said(caplog)) == 2
    assert "version 0999" in _said(caplog)[1]
    engine.dispose()


def test_other_numbers_are_the_same_trouble_until_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    """A port that changes with each attempt makes no new line; the same trouble after it was over does."""
    report = Report()
    for port in (50123, 50124):
        report.trouble(Doing.CLAIM, DatabaseUnreachable(f"connection from port {port} refused"))
    report.trouble(Doing.SETTLE, DatabaseUnreachable("connection from port 50125 refused"))
    assert len(_said(caplog)) == 1
    report.works(Doing.CLAIM)
    assert "works again" not in caplog.text
    report.works(Doing.SETTLE)
    assert "works again" in caplog.text
    report.trouble(Doing.CLAIM, DatabaseUnreachable("connection from port 50126 refused"))
    report.trouble(Doing.CLAIM, DatabaseUnreachable("connection from port 50126 reset"))
    assert len(_said(caplog)) == 3
