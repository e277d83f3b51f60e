"""`outbox failed --by`: many failed messages, few causes."""

from __future__ import annotations

import importlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from outbox.schema import utc_after, utc_now
from support.commands import Console, add
from support.databases import Database

groups_module = importlib.import_module("outbox.store.look.groups")  # a function has the same name

_MIDNIGHT = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], database: Database) -> Console:
    """`outbox …` against the test's database."""
    return Console(capsys, database)


def test_errors_with_different_ids_are_one_cause(outbox: Console, database: Database) -> None:
    """Whatever ids are in them, with the span of all and the newest id."""
    added = [
        add(
            database,
            state="failed",
            last_error=f"HTTP 409 Conflict: {uuid4()} is there",
            settled_at=_MIDNIGHT + timedelta(hours=hours),
        )
        for hours in (5, 1, 3)
    ]
    add(database, state="failed", last_error="HTTP 404 Not Found", settled_at=_MIDNIGHT)
    first, second = outbox("failed", "--by", "error", "--json").json
    assert first == {
        "error": "HTTP 409 Conflict: # is there",
        "count": 3,
        "first_settled_at": "2026-01-31T01:00:00.000000Z",
        "last_settled_at": "2026-01-31T05:00:00.000000Z",
        "sample_id": str(max(added)),
    }
    assert (second["error"], second["count"]) == ("HTTP 404 Not Found", 1)


def test_a_day_is_that_of_the_failure_in_utc(outbox: Console, database: Database) -> None:
    """The last day first, whatever day the message was created on."""
    for seconds in (-0.000001, 0, 86399.999999, 86400):
        add(
            database,
            state="failed",
            settled_at=_MIDNIGHT + timedelta(seconds=seconds),
            created_at=_MIDNIGHT - timedelta(days=9),
        )
    found = outbox("failed", "--by", "day", "--json").json
    assert [(each["day"], each["count"]) for each in found] == [("2026-02-01", 1), ("2026-01-31", 2), ("2026-01-30", 1)]
    assert outbox("failed", "--by", "day", "--limit", 1, "--json").json == found[:1]
    assert outbox("failed", "--by", "day").out.splitlines()[1].split()[-1] == "2026-02-01"


def test_each_count_heeds_the_filters(outbox: Console, database: Database) -> None:
    """Whatever they are counted by, only what the filters keep counts."""
    add(database, state="failed", name="a", last_status=503, last_error="HTTP 503", destination="crm")
    add(database, state="failed", name="a", last_status=422, last_error="HTTP 422")
    add(database, state="failed", name="b", last_status=503, last_error="HTTP 503", created_at=utc_after(-7200.0))
    add(database, state="delivered", name="a", last_status=503, settled_at=utc_now())
    for options, count in (
        (["--name", "a"], 2), (["--status", "5xx"], 2), (["--error", "http 422"], 1), (["--since", "1h"], 2),
        (["--until", "1h"], 1), (["--destination", "crm"], 1), (["--name", "a", "--status", "503"], 1), ([], 3),
    ):  # fmt: skip
        for by in ("error", "name", "status", "day"):
            assert sum(each["count"] for each in outbox("failed", "--by", by, *options, "--json").json) == count


def test_counts_are_taken_in_steps(outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the steps, each message counts once, in the cause that it has."""
    expected: Counter[str] = Counter()
    for number in range(25):
        word = ("some", "few", "many")[(number % 7) % 3]
        expected[f"{word} #"] += 1
        newest = add(
            database, state="failed", last_error=f"{word} {number}", settled_at=_MIDNIGHT + timedelta(days=number)
        )
        add(database, last_error=f"{word} {number}")
    for step in (1, 4, 5, 24, 25, 26):
        monkeypatch.setattr(groups_module, "STEP", step)
        found = outbox("failed", "--by", "error", "--json").json
        assert [(each["error"], each["count"]) for each in found] == expected.most_common()
        assert max(each["sample_id"] for each in found) == str(newest)
        assert min(each["first_settled_at"] for each in found) == "2026-01-31T00:00:00.000000Z"
        assert max(each["last_settled_at"] for each in found) == "2026-02-24T00:00:00.000000Z"


def test_memory_is_bounded_whatever_the_errors_are(
    outbox: Console, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a number of causes all others are one, and none is left out."""
    monkeypatch.setattr(groups_module, "MOST", 3)
    for word in ("one", "two", "three", "four", "five"):
        add(database, state="failed", last_error=word)
    found = outbox("failed", "--by", "error", "--json").json
    assert len(found) == 4
    assert {each["error"]: each["count"] for each in found}["(others)"] == 2


@pytest.mark.parametrize("by", ["error", "status"])
def test_a_cause_that_is_missing_is_none(outbox: Console, database: Database, by: str) -> None:
    """A message of which nothing is recorded counts, too."""
    add(database, state="failed", last_error=None)
    assert outbox("failed", "--by", by, "--json").json[0][by] is None
    assert outbox("failed", "--by", by).out.splitlines()[1].endswith("none")
