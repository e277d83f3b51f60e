"""Filters mean the same on every database, whatever they hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click
import psycopg
import pytest

from outbox.cli.filters import as_options, filter_options, is_narrowed
from outbox.message import State
from outbox.schema import utc_after
from outbox.store.look import Filters
from support.commands import Console, add
from support.databases import Database, build_schema
from support.servers import PostgresServer, Server

HOSTILE = [
    "%", "_", "100%_sure", "!", "!%", "\\", "\\%", "'", "''", '"', "`", "' OR '1'='1", "x'; DROP TABLE outbox_message; --",
    "?", "[a]", "[!a]", "[", "]", "^", "$", ".", ".*x", "(", ")", "{1}", "|", "+", ":name", "%(name)s", "%s", "{}", "--", "/*",
    "\x1b[31m", "\t", "\n", "é", "É", "东京", "\U0001f389", "\\E", "\\Q", "#", "~", "-", "&", "a-z",
]  # fmt: skip


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def _names(outbox: Console, *arguments: object) -> list[str]:
    ran = outbox("list", "--json", "--limit", 0, *arguments)
    assert (ran.code, ran.err) == (0, "")
    return [each["name"] for each in ran.json][::-1]


def test_text_is_taken_literally(outbox: Console, database: Database) -> None:
    """Each hostile text finds exactly the messages that hold it, by name and by part of the error."""
    for text in HOSTILE:
        add(database, name=f"before {text} after", last_error=f"Before {text} after")
    for text in HOSTILE:
        assert _names(outbox, f"--name=before {text} after") == [f"before {text} after"]
        assert _names(outbox, f"--name=*fore {text} aft*") == [f"before {text} after"]
        assert _names(outbox, f"--error=fore {text} aft") == [f"before {text} after"], text
    assert len(_names(outbox)) == len(HOSTILE)


def test_a_name_is_exact_but_for_stars(outbox: Console, database: Database) -> None:
    """Case counts in names; a star is any text, also none."""
    for name in ("order_paid", "Order_Paid", "order_paid_late", "reorder", "order", "orderXpaid"):
        add(database, name=name)
    assert _names(outbox, "--name", "order_paid") == ["order_paid"]
    assert _names(outbox, "--name", "order*") == ["order_paid", "order_paid_late", "order", "orderXpaid"]
    assert _names(outbox, "--name", "*order") == ["reorder", "order"]
    assert _names(outbox, "--name", "*_paid*") == ["order_paid", "order_paid_late"]
    assert _names(outbox, "--name", "*_P*") == ["Order_Paid"]
    assert len(_names(outbox, "--name", "**")) == 6


def test_an_error_is_found_in_either_case_of_ascii_letters(outbox: Console, database: Database) -> None:
    """`TIMEOUT` finds `Timeout`; other letters are taken as they are written, alike on every database."""
    add(database, name="ascii", last_error="Connect Timeout after 5 s")
    add(database, name="umlaut", last_error="Größe: ÄRGER")
    add(database, name="none")
    assert _names(outbox, "--error", "connect TIMEOUT") == ["ascii"]
    assert _names(outbox, "--error", "gRÖSSE") == []
    assert _names(outbox, "--error", "größE: ÄrGer") == ["umlaut"]
    assert _names(outbox, "--error", "ärger") == []


def test_letters_fold_alike_whatever_the_locale(capsys: pytest.CaptureFixture[str], postgres_server: Server) -> None:
    """A PostgreSQL database whose locale knows more letters finds no more than one that does not."""
    assert isinstance(postgres_server, PostgresServer)
    name = "test_of_a_locale"
    try:
        postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE template0 LC_CTYPE 'C.UTF-8'")
    except psycopg.Error:
        pytest.skip("this system has no locale C.UTF-8")
    database = Database("postgresql", postgres_server.url(name), postgres_server)
    build_schema(database.url)
    add(database, name="umlaut", last_error="Größe: ÄRGER")
    outbox = Console(capsys, database)
    assert _names(outbox, "--error", "größE: ÄrGer") == ["umlaut"]
    assert _names(outbox, "--error", "ärger") == []
    database.dispose()
    postgres_server.drop_database(name)


def test_a_status_is_one_or_a_class_or_none(outbox: Console, database: Database) -> None:
    """`503`, `5xx`, `none`."""
    for status in (None, 200, 422, 500, 503, 599, 600):
        add(database, name=str(status), last_status=status)
    assert _names(outbox, "--status", "503") == ["503"]
    assert _names(outbox, "--status", "5xx") == ["500", "503", "599"]
    assert _names(outbox, "--status", "4XX") == ["422"]
    assert _names(outbox, "--status", "none") == ["None"]


def test_times_are_moments_or_ago(outbox: Console, database: Database) -> None:
    """`--since` includes its moment, `--until` does not; a duration counts back from the database's now."""
    for name, age in (("old", 3 * 86400.0), ("hours", 3 * 3600.0), ("new", 5.0)):
        add(database, name=name, created_at=utc_after(-age))
    moment = datetime(2020, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)
    add(database, name="exact", created_at=moment)
    assert _names(outbox, "--since", "2h") == ["new"]
    assert _names(outbox, "--since", "4h", "--until", "90m") == ["hours"]
    assert _names(outbox, "--until", "1d") == ["old", "exact"]
    assert _names(outbox, "--until", "2020-02-29T13:00:00.123457+01:00") == ["exact"]
    assert _names(outbox, "--until", "2020-02-29T12:00:00.123456Z") == []
    assert "exact" in _names(outbox, "--since", "2020-02-29T12:00:00.123456Z")
    assert "exact" in _names(outbox, "--since", "2020-02-29", "--until", "2020-03-01")
    assert len(_names(outbox, "--since", "99999999d")) == 4
    assert len(_names(outbox, "--since", "0001-01-01", "--until", "9999-12-31")) == 4


def test_why_and_when_it_failed(outbox: Console, database: Database) -> None:
    """`--failure-reason` and `--failed-before` keep failed messages alone."""
    for reason, age in (("rejected", 3600.0), ("exhausted", 60.0), ("discarded", 7200.0)):
        add(database, name=reason, state="failed", failure_reason=reason, settled_at=utc_after(-age))
    add(database, name="delivered", state="delivered", settled_at=utc_after(-9999.0))
    add(database, name="pending")
    assert _names(outbox, "--failure-reason", "exhausted") == ["exhausted"]
    assert _names(outbox, "--failed-before", "30m") == ["rejected", "discarded"]
    assert _names(outbox, "--failed-before", "90m", "--state", "pending") == []
    assert _names(outbox, "--failed-before", "2020-01-31") == []


@pytest.mark.parametrize(
    "options",
    [
        ["--name", "order_*", "--destination", "crm"],
        ["--since", "2026-01-31T12:00:00.000001Z", "--until", "2h"],
        ["--status", "5xx", "--failure-reason", "worker_lost", "--failed-before", "1d"],
        ["--status", "404", "--error", "--it's ''"],
        ["--status", "none"],
    ],
)
def test_filters_can_be_written_out(options: list[str]) -> None:
    """As the options that read back as the same filters: for the command that goes on."""

    @click.command()
    @filter_options(state=State.FAILED)
    def command(filters: Filters) -> Filters:
        return filters

    found = command.main(options, standalone_mode=False)
    assert command.main(as_options(found), standalone_mode=False) == found
    assert is_narrowed(found)
    assert not is_narrowed(command.main([], standalone_mode=False))


def test_filters_add_up(outbox: Console, database: Database) -> None:
    """Everything given must hold."""
    add(database, name="a", state="failed", last_status=503)
    add(database, name="a", state="failed", last_status=422)
    add(database, name="a", state="delivered", last_status=503)
    add(database, name="b", state="failed", last_status=503, destination="elsewhere")
    assert len(outbox("failed", "--name", "a", "--status", "503", "--json").json) == 1
    assert len(outbox("list", "--state", "failed", "--destination", "elsewhere", "--json").json) == 1
    assert len(outbox("list", "--state", "failed", "--destination", "elsewhere", "--name", "a", "--json").json) == 0


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--status", "50", "expected an HTTP status"),
        ("--status", "6xx", "expected an HTTP status"),
        ("--status", "700", "expected an HTTP status from 100 to 599"),
        ("--status", "099", "expected an HTTP status"),
        ("--status", "²00", "expected an HTTP status"),
        ("--since", "yesterday", "expected a time such as"),
        ("--since", "0001-01-01T00:00:00+14:00", "expected a time such as"),
        ("--until", "5", "expected a time such as"),
        ("--name", "a\0b", "NUL"),
        ("--error", "\udcff", "not UTF-8"),
        ("--error", "x" * 501, "1 to 500 bytes"),
        ("--name", "", "1 to 500 bytes"),
        ("--limit", "-1", "limit"),
        ("--limit", "9" * 30, "limit"),
        ("--state", "running", "pending"),
        ("--after", "17", "an id looks like"),
        ("--failure-reason", "bored", "worker_lost"),
        ("--failed-before", "soon", "expected a time such as"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_wrong_filter_is_a_usage_error(outbox: Console, option: str, value: str, expected: str) -> None:
    """Exit 2, and what was expected."""
    ran = outbox("list", f"{option}={value}")
    assert (ran.code, ran.out) == (2, "")
    assert expected in ran.err


def test_filters_are_a_value_for_any_statement(database: Database) -> None:
    """What is looked at is what a bulk verb will change: the same conditions serve an UPDATE."""
    from outbox.schema import message

    for number in range(4):
        add(database, state="failed", last_status=500 + number, last_error=f"Error {number}")
    add(database)
    filters = Filters(
        state=State.FAILED, name="document_*", since=timedelta(hours=1), error="error", status=range(501, 503)
    )
    conditions: list[Any] = filters.conditions(database.engine.dialect.name)
    with database.engine.begin() as connection:
        assert connection.execute(message.update().where(*conditions).values(attempts=9)).rowcount == 2
