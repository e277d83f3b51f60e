"""What is handed to `enqueue` is checked before the first statement, every problem named."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine

import outbox
from outbox.message import OnUnknown
from outbox.schema import metadata
from support.applications import event
from support.events import body


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def _fields(error: pytest.ExceptionInfo[outbox.EventRefused]) -> list[str]:
    return [problem.field for problem in error.value.problems]


_WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"delay": -1}, "delay", "is negative"),
    ({"delay": timedelta(seconds=-1)}, "delay", "is negative"),
    ({"delay": float("nan")}, "delay", "is NaN"),
    ({"delay": float("inf")}, "delay", "longer than 3650 days"),
    ({"delay": timedelta(days=3651)}, "delay", "longer than 3650 days"),
    ({"delay": "5s"}, "delay", "of type str"),
    ({"delay": True}, "delay", "of type bool"),
    ({"deliver_at": datetime(2030, 1, 1)}, "deliver_at", "without a timezone"),  # noqa: DTZ001 - that is the point
    ({"deliver_at": "2030-01-01"}, "deliver_at", "of type str"),
    ({"delay": 1, "deliver_at": datetime(2030, 1, 1, tzinfo=UTC)}, "deliver_at", "together with delay"),
    ({"on_unknown": "parc"}, "on_unknown", "is 'parc' (did you mean park?); pass retry or park"),
    ({"on_unknown": 7}, "on_unknown", "of type int"),
    ({"destination": "overcentrc"}, "destination", "(did you mean overcentric?); pass overcentric"),
    ({"destination": ["overcentric"]}, "destination", "is of type list; pass overcentric"),
]
_WRONG_KEYS = [
    ("", "0 characters"),
    ("x" * 201, "201 characters"),
    (" a", "white space"),
    ("a\n", "white space"),
    ("a\x00b", "control character"),
    ("a\udc80", "control character"),
    (7, "of type int"),
    (b"key", "of type bytes"),
]


@pytest.mark.parametrize(("options", "field", "wrong"), _WRONG)
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_a_wrong_option_is_named(
    connection: Connection, options: dict[str, Any], field: str, wrong: str, *, many: bool
) -> None:
    """Which option, what is wrong with it, what to pass."""
    call: Any = outbox.enqueue_many if many else outbox.enqueue
    with pytest.raises(outbox.EventRefused) as caught:
        call(connection, [event()] if many else event(), **options)
    assert _fields(caught) == [field]
    assert wrong in str(caught.value)
    assert not connection.in_transaction()


@pytest.mark.parametrize("option", ["dedup_key", "ordering_key"])
@pytest.mark.parametrize(("key", "wrong"), _WRONG_KEYS)
def test_a_wrong_key_is_named(connection: Connection, key: Any, wrong: str, option: str) -> None:
    """The key itself may be somebody's data, and is not told."""
    one: dict[str, Any] = {option: key}
    many: dict[str, Any] = {f"{option}s": [None, key]}
    with pytest.raises(outbox.EventRefused, match=wrong) as caught:
        outbox.enqueue(connection, event(), **one)
    assert _fields(caught) == [option]
    with pytest.raises(outbox.EventRefused, match=wrong) as caught:
        outbox.enqueue_many(connection, [event(), event()], **many)
    assert _fields(caught) == [f"{option}s[1]"]


_DELAYS: list[dict[str, Any]] = [{"delay": 5}, {"delay": 0}, {"deliver_at": datetime(2030, 1, 1, tzinfo=UTC)}]


@pytest.mark.parametrize("delayed", _DELAYS)
def test_a_delayed_message_has_no_ordering_key(connection: Connection, delayed: dict[str, Any]) -> None:
    """Which option, and why: it would hold up its key. In a list one key is enough."""
    match = "is given together with an ordering key; leave it out: .* would hold up all behind it"
    with pytest.raises(outbox.EventRefused, match=match) as caught:
        outbox.enqueue(connection, event(), ordering_key="key", **delayed)
    assert _fields(caught) == [*delayed]
    with pytest.raises(outbox.EventRefused, match=match) as caught:
        outbox.enqueue_many(connection, [event(), event()], ordering_keys=[None, "key"], **delayed)
    assert _fields(caught) == [*delayed]
    assert not connection.in_transaction()


@pytest.mark.parametrize("key", ["x" * 200, "evt_1", "Zürich 🚀", "a b", "日本"])
def test_keys_of_any_script_are_kept(connection: Connection, key: str) -> None:
    """Up to 200 characters, not bytes."""
    first = outbox.enqueue(connection, event(), dedup_key=key)
    assert outbox.enqueue(connection, event(), dedup_key=key) == first


def test_everything_wrong_is_told_at_once(connection: Connection) -> None:
    """Options and event together."""
    wrong = body("minimal")
    wrong["event"]["context"] = "prodct"
    del wrong["event"]["device_id"]
    with pytest.raises(outbox.EventRefused) as caught:
        outbox.enqueue(connection, wrong, delay=-1, dedup_key="", ordering_key="")
    assert sorted(_fields(caught)) == [
        "dedup_key", "delay", "delay", "event.context", "event.device_id", "ordering_key",
    ]  # fmt: skip


def test_problems_of_many_carry_their_index_and_nothing_is_written(connection: Connection) -> None:
    """The first INSERT waits for the last check."""
    wrong = body("minimal")
    wrong["event"]["context"] = "prodct"
    other = outbox.Identity("user", project_id="other")
    entries: list[Any] = [event(), event(), (event(), other), wrong, 7, (event(), "user")]
    with pytest.raises(outbox.EventRefused) as caught:
        outbox.enqueue_many(connection, entries)
    found = _fields(caught)
    assert found[:2] == ["events[2].identity.project_id", "events[3].event.context"]
    assert [field.partition(".")[0] for field in found[2:]] == ["events[4]", "events[5]"]
    assert not connection.in_transaction()


def test_a_long_list_of_wrong_events_is_not_walked_to_its_end(connection: Connection) -> None:
    """A hundred problems are enough to read."""
    wrong: list[Any] = [{"event": {}}] * 10_000
    with pytest.raises(outbox.EventRefused) as caught:
        outbox.enqueue_many(connection, wrong)
    assert 100 <= len(_fields(caught)) < 120


@pytest.mark.parametrize("events", [event(), body("minimal"), "event", None, 7])
def test_many_takes_a_list(connection: Connection, events: Any) -> None:
    """One event is not a list of events."""
    with pytest.raises(outbox.EventRefused, match="for a single event"):
        outbox.enqueue_many(connection, events)


@pytest.mark.parametrize("option", ["dedup_keys", "ordering_keys"])
@pytest.mark.parametrize("keys", [["a"], [], "ab", 7])
def test_keys_are_as_many_as_events(connection: Connection, keys: Any, option: str) -> None:
    """None for an event without a key."""
    given: dict[str, Any] = {option: keys}
    with pytest.raises(outbox.EventRefused, match=f"{option}: is not a sequence as long as events"):
        outbox.enqueue_many(connection, [event(), event()], **given)


def test_any_iterable_of_documented_bodies_is_taken(connection: Connection) -> None:
    """Generators, dicts, pairs."""
    entries: list[Any] = [body("minimal"), (event(), None), (event(), outbox.Identity("user")), (body("minimal"), None)]
    assert len(outbox.enqueue_many(connection, (entry for entry in entries))) == 4


def test_the_enum_is_as_good_as_the_word(connection: Connection) -> None:
    """`OnUnknown.PARK` is stored as the word."""
    outbox.enqueue(connection, event(), on_unknown=OnUnknown.PARK)
    assert connection.exec_driver_sql("SELECT on_unknown FROM outbox_message").scalar_one() == "park"


def test_the_event_is_checked_before_the_connection_is_touched() -> None:
    """What can never be sent must fail in a test that has no database."""
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    from sqlalchemy.orm import Session

    with Session(engine) as session, pytest.raises(outbox.EventRefused):
        outbox.enqueue(session, {"event": {}})


def test_a_warning_names_the_callers_line(connection: Connection) -> None:
    """Also through `enqueue_many`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outbox.enqueue(connection, event("signup"))
        outbox.enqueue_many(connection, [event("signup")])
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name] * 2
    assert all(issubclass(warning.category, outbox.OutboxWarning) for warning in caught)


def test_settings_are_read_when_they_change(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The next call sees a changed variable; a worker's wrong setting does not concern it."""

    def stored() -> str:
        found: str = (
            connection.exec_driver_sql("SELECT body FROM outbox_message ORDER BY id DESC").scalars().first() or ""
        )
        return found

    bare = outbox.Event.server("order_placed")
    monkeypatch.setenv("OUTBOX_LEASE", "nonsense")
    with pytest.raises(outbox.EventRefused, match="OUTBOX_PROJECT_ID"):
        outbox.enqueue(connection, bare)
    monkeypatch.setenv("OUTBOX_PROJECT_ID", "first")
    outbox.enqueue(connection, bare)
    assert '"project_id":"first"' in stored()
    monkeypatch.setenv("OUTBOX_PROJECT_ID", "second")
    outbox.enqueue(connection, bare)
    assert '"project_id":"second"' in stored()
    monkeypatch.delenv("OUTBOX_PROJECT_ID")
    (tmp_path / "outbox_project_id").write_text("third\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", f"{tmp_path}")
    outbox.enqueue(connection, bare)
    assert '"project_id":"third"' in stored()
    (tmp_path / "renewed").mkdir()
    (tmp_path / "renewed" / "outbox_project_id").write_text("fourth")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", f"{tmp_path}/renewed")
    outbox.enqueue(connection, bare)
    assert '"project_id":"fourth"' in stored()
    (tmp_path / "outbox.toml").write_text('max_body = "100B"\n')
    monkeypatch.setenv("OUTBOX_CONFIG", f"{tmp_path}/outbox.toml")
    with pytest.raises(outbox.EventRefused, match="the limit is 100"):
        outbox.enqueue(connection, bare)
    monkeypatch.setenv("OUTBOX_MAX_BODY", "1MiB")
    monkeypatch.setenv("OUTBOX_ALLOW_NAMES", "$trial_start")
    outbox.enqueue(connection, event("$trial_start"))
    monkeypatch.setenv("OUTBOX_OCCURRED_AT_PROPERTY", "occurred_at")
    outbox.enqueue(connection, event())
    assert '"properties":{"occurred_at":"' in stored()
    monkeypatch.setenv("OUTBOX_MAX_BODY", "lots")
    for _ in range(2):
        with pytest.raises(outbox.ConfigurationError, match="OUTBOX_MAX_BODY"):
            outbox.enqueue(connection, event())


def test_settings_are_read_without_the_private_dict_too(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain mapping in the place of `os.environ` is read by its public face."""
    monkeypatch.setattr("os.environ", {"OUTBOX_PROJECT_ID": "plain"})
    outbox.enqueue(connection, outbox.Event.server("order_placed"))
    assert '"plain"' in connection.exec_driver_sql("SELECT body FROM outbox_message").scalar_one()
