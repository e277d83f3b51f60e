"""`enqueue(…, destination=…)`: each destination encodes its own, and what to do in doubt is found where it was said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, select

import outbox
from outbox.schema import message, metadata
from outbox.settings.producer import producer_settings
from support.applications import event


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A destination `crm` as an application knows it: by its URL's variable, without its secret."""
    monkeypatch.setenv("OUTBOX_DESTINATION_CRM_URL", "https://crm.example/hooks")
    return monkeypatch


def _rows(connection: Connection) -> list[tuple[str, ...]]:
    columns = (message.c.destination, message.c.name, message.c.body, message.c.on_unknown)
    return [tuple(row) for row in connection.execute(select(*columns).order_by(message.c.id))]


def test_a_webhooks_payload_is_stored_as_it_will_be_sent(connection: Connection, crm: pytest.MonkeyPatch) -> None:
    """Any JSON, one or many, beside events for Overcentric; no secret is needed, not even a readable one."""
    crm.setenv("OUTBOX_DESTINATION_CRM_SECRET_FILE", "/nowhere/secret")
    outbox.enqueue(connection, {"type": "order.paid", "total": 5}, destination="crm")
    outbox.enqueue_many(connection, [[1, 2], ({"a": 1}, None)], destination="crm")
    outbox.enqueue(connection, event())
    found = _rows(connection)
    assert [row[:3] for row in found[:3]] == [
        ("crm", "order.paid", '{"type":"order.paid","total":5}'),
        ("crm", "crm", "[1,2]"),
        ("crm", "crm", '{"a":1}'),
    ]
    assert found[3][0] == "overcentric"
    assert {row[3] for row in found} == {"retry"}


def test_a_dedup_key_is_its_destinations(connection: Connection, crm: pytest.MonkeyPatch) -> None:
    """The same key at two destinations is two messages."""
    first = outbox.enqueue(connection, {}, destination="crm", dedup_key="k")
    assert outbox.enqueue(connection, {}, destination="crm", dedup_key="k") == first
    assert outbox.enqueue(connection, event(), dedup_key="k") != first


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_a_destination_that_is_not_configured(connection: Connection, crm: pytest.MonkeyPatch, *, many: bool) -> None:
    """The names there are, and the one that was probably meant."""
    call: Any = outbox.enqueue_many if many else outbox.enqueue
    with pytest.raises(outbox.EventRefused) as caught:
        call(connection, [{}] if many else {}, destination="crmm")
    assert str(caught.value) == "destination: is 'crmm' (did you mean crm?); pass overcentric or crm"
    assert not connection.in_transaction()


def test_problems_of_a_payload_name_their_place(connection: Connection, crm: pytest.MonkeyPatch) -> None:
    """In a list also which of them."""
    with pytest.raises(outbox.EventRefused) as caught:
        outbox.enqueue_many(connection, [{}, {"a": {1}}], destination="crm", delay=-1)
    assert [each.field for each in caught.value.problems] == ["delay", "events[1].payload.a"]


def test_a_second_overcentric(connection: Connection, crm: pytest.MonkeyPatch) -> None:
    """Another endpoint of the same kind takes the same events, with the same defaults."""
    crm.setenv("OUTBOX_DESTINATION_CRM_KIND", "overcentric")
    crm.setenv("OUTBOX_PROJECT_ID", "mine")
    outbox.enqueue(connection, outbox.Event.server("job_done"), destination="crm", identity=outbox.Identity("user"))
    [(name, event_name, text, _)] = _rows(connection)
    assert (name, event_name, json.loads(text)["event"]["project_id"]) == ("crm", "job_done", "mine")
    with pytest.raises(outbox.EventRefused, match="event: is missing"):
        outbox.enqueue(connection, {"type": "job_done"}, destination="crm")


def test_a_kind_that_is_not_installed(connection: Connection, crm: pytest.MonkeyPatch) -> None:
    """A wrong configuration, said at the call and before anything is written."""
    crm.setenv("OUTBOX_DESTINATION_CRM_KIND", "smoke")
    with pytest.raises(outbox.ConfigurationError, match="OUTBOX_DESTINATION_CRM_KIND is smoke, which is no kind"):
        outbox.enqueue(connection, {}, destination="crm")
    assert not connection.in_transaction()


def test_what_changes_in_the_environment_is_seen(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination that appears, what it is told later, and one that goes, without a new process."""
    with pytest.raises(outbox.EventRefused):
        outbox.enqueue(connection, {}, destination="crm")
    monkeypatch.setenv("OUTBOX_DESTINATION_CRM_URL", "https://crm.example/hooks")
    outbox.enqueue(connection, {}, destination="crm")
    monkeypatch.setenv("OUTBOX_DESTINATION_CRM_ON_UNKNOWN", "park")
    outbox.enqueue(connection, {}, destination="crm")
    monkeypatch.setenv("OUTBOX_MAX_BODY", "1")
    with pytest.raises(outbox.EventRefused, match="the limit is 1"):
        outbox.enqueue(connection, {}, destination="crm")
    monkeypatch.delenv("OUTBOX_MAX_BODY")
    monkeypatch.delenv("OUTBOX_DESTINATION_CRM_ON_UNKNOWN")
    outbox.enqueue(connection, {}, destination="crm")
    monkeypatch.delenv("OUTBOX_DESTINATION_CRM_URL")
    with pytest.raises(outbox.EventRefused, match=r"pass overcentric$"):
        outbox.enqueue(connection, {}, destination="crm")
    assert [row[3] for row in _rows(connection)] == ["retry", "park", "retry"]


def test_settings_are_read_once(crm: pytest.MonkeyPatch) -> None:
    """While nothing changes every call gets the same object: enqueueing reads no file and no variable anew."""
    assert producer_settings("crm") is producer_settings("crm") is producer_settings()


def test_a_table_makes_a_destination(connection: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file that OUTBOX_CONFIG names counts for the application, too."""
    (tmp_path / "outbox.toml").write_text('park = ["p_*"]\n[destinations.erp]\nurl = "https://erp.example/"\n')
    monkeypatch.setenv("OUTBOX_CONFIG", str(tmp_path / "outbox.toml"))
    outbox.enqueue(connection, {"type": "p_1"}, destination="erp")
    assert _rows(connection) == [("erp", "p_1", json.dumps({"type": "p_1"}, separators=(",", ":")), "park")]


@pytest.mark.parametrize(
    ("said", "of_crm", "patterns", "name", "expected"),
    [
        (None, None, "", "order_paid", "retry"),
        (None, None, "order_*,payment_?", "order_paid", "park"),
        (None, None, "order_*,payment_?", "payment_1", "park"),
        (None, None, "order_*,payment_?", "payment_12", "retry"),
        (None, None, "order_*", "Order_paid", "retry"),
        (None, None, "order", "order_paid", "retry"),
        (None, None, "*", "a\nb", "park"),
        (None, "park", "", "order_paid", "park"),
        (None, "retry", "order_*", "order_paid", "retry"),
        ("retry", "park", "order_*", "order_paid", "retry"),
        ("park", "retry", "", "order_paid", "park"),
    ],
)
def test_what_to_do_in_doubt(
    connection: Connection,
    crm: pytest.MonkeyPatch,
    said: Any,
    of_crm: str | None,
    patterns: str,
    name: str,
    expected: str,
) -> None:
    """The call's word wins, then the destination's, then a pattern of names, then `retry`."""
    crm.setenv("OUTBOX_PARK", patterns)
    crm.setenv("OUTBOX_DESTINATION_CRM_ON_UNKNOWN", of_crm or "")
    settings = producer_settings("crm")
    assert (said or settings.on_unknown("crm", name)) == expected
    if name.isprintable():
        outbox.enqueue(connection, {"type": name}, destination="crm", on_unknown=said)
        assert _rows(connection)[0][3] == expected


def test_each_event_of_a_list_by_its_own_name(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of one call may differ in what to do in doubt."""
    monkeypatch.setenv("OUTBOX_PARK", "order_*")
    outbox.enqueue_many(connection, [event(name="order_paid"), event(name="page_seen")])
    assert [row[3] for row in _rows(connection)] == ["park", "retry"]
