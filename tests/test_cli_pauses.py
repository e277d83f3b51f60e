"""`outbox pause` and `outbox resume`: who paused what, and that all workers heed it."""

from __future__ import annotations

import getpass
import socket
from typing import Any

import pytest

from support.commands import Console, add
from support.databases import Database
from support.pauses import a_store, fail, passes, row
from support.rows import claim


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


ME = f"{getpass.getuser()}@{socket.gethostname()}"


def test_a_pause_lasts_until_resumed(outbox: Console, database: Database) -> None:
    """Nothing is claimed until then; both commands and `status` say who paused, and why."""
    add(database)
    ran = outbox("pause", "--reason", "moving the CRM")
    assert (ran.code, ran.out) == (0, f"overcentric is paused until resumed by {ME}: moving the CRM.\n")
    assert claim(database) == []
    assert f"overcentric is paused until resumed by {ME}: moving the CRM." in outbox("status").out
    ran = outbox("resume")
    said = f"overcentric is resumed. Until now: overcentric is paused until resumed by {ME}: moving the CRM.\n"
    assert (ran.code, ran.out) == (0, said)
    assert len(claim(database)) == 1
    ran = outbox("resume")
    assert (ran.code, ran.out) == (0, "overcentric was not paused\n")


def test_a_pause_for_a_time(outbox: Console, database: Database) -> None:
    """It ends by the database's clock, without a command."""
    made = outbox("pause", "overcentric", "--for", "2h", "--reason", "a deploy", "--json").json
    assert list(made) == ["name", "cause", "paused_until", "paused_at", "paused_by", "reason", "probing"]
    assert (made["name"], made["cause"], made["paused_by"], made["reason"]) == (
        "overcentric",
        "operator",
        ME,
        "a deploy",
    )
    found = row(database)
    assert abs((found.paused_until - found.paused_at).total_seconds() - 7200.0) < 0.01
    passes(database, 7201.0)
    assert outbox("status", "--json").json["destinations"][0]["cause"] is None
    assert outbox("resume", "--json").json == {"name": "overcentric", "ended": None}


def test_resume_ends_a_workers_pause(outbox: Console, database: Database) -> None:
    """Also one that waits for a probe: an operator knows better."""
    with a_store(database) as store:
        fail(store, by="shop-1 4711")
    passes(database, 10.0)
    add(database)
    ended = outbox("resume", "--json").json["ended"]
    assert (ended["cause"], ended["paused_by"], ended["probing"]) == ("failing", "shop-1 4711", True)
    assert len(claim(database)) == 1


def test_the_last_pause_counts(outbox: Console, database: Database) -> None:
    """A second pause takes the place of the first, be it shorter."""
    outbox("pause", "--reason", "for ever")
    outbox("pause", "--reason", "a minute", "--for", "1m")
    passes(database, 61.0)
    assert outbox("status", "--json").json["destinations"][0]["cause"] is None


def test_a_name_that_nobody_knows_is_refused(outbox: Console, database: Database) -> None:
    """Its pause would pause nothing. A name that the database has heard of is one, whatever is configured here."""
    for command in (("pause", "overcentrik", "--reason", "x"), ("resume", "overcentrik")):
        ran = outbox(*command)
        assert (ran.code, ran.out) == (2, "")
        assert "No destination is called 'overcentrik' (did you mean overcentric?)" in ran.err
    add(database, destination="crm", ordering_key="k")
    add(database, destination="mail")
    for name in ("crm", "mail"):
        assert outbox("pause", name, "--reason", "x").code == 0
        assert outbox("resume", name).out.startswith(f"{name} is resumed.")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--reason"),
        (("--reason", ""), "expected 1 to 500 bytes"),
        (("--reason", "a\0b"), "NUL"),
        (("--reason", "x", "--for", "2"), "expected a number and a unit"),
        (("--reason", "x", "--for", "0s"), "above zero"),
        (("--reason", "x", "--for", "40000d"), "less than a century"),
    ],
)
def test_what_is_wrong_is_said(outbox: Console, database: Database, arguments: tuple[Any, ...], said: str) -> None:
    """A usage error, and nothing is paused."""
    ran = outbox("pause", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert outbox("status", "--json").json["destinations"][0]["cause"] is None
