"""The demo's judgement, on its own: what it lets pass, and that it lets nothing else pass."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from outbox.demo.ledger import Ledger
from outbox.demo.plan import Kind, plan
from outbox.demo.verdict import Arrival, Verdict, judge

COMMITTED = ["a", "b", "c"]
ROLLED_BACK = ["x", "y"]
DELIVERED = dict.fromkeys(COMMITTED, "delivered")


def arrival(key: str | None, *, body: str | None = None, accepted: bool = True, taken: bool = True) -> Arrival:
    return Arrival(key, (f"body of {key}" if body is None else body).encode(), accepted, taken)


ARRIVED = [arrival(key) for key in COMMITTED]


def judged(arrivals: list[Arrival], states: dict[str, str] = DELIVERED) -> Verdict:
    return judge(COMMITTED, ROLLED_BACK, arrivals, states)


def test_everything_arrived_once() -> None:
    """All that was committed arrived, nothing else did: the promise held."""
    verdict = judged(ARRIVED)
    assert verdict.held
    assert (verdict.committed, verdict.delivered, verdict.rolled_back) == (3, 3, 2)
    assert (verdict.lost, verdict.sent_after_rollback, verdict.duplicates, verdict.failed) == (0, 0, 0, 0)


def test_duplicates_with_the_same_key_and_bytes_are_counted_and_allowed() -> None:
    """At least once: an event whose answer was lost may come again."""
    cut_off = arrival("a", accepted=False)
    verdict = judged([cut_off, *ARRIVED, arrival("b"), arrival("b")])
    assert verdict.held
    assert (verdict.duplicates, verdict.altered) == (3, 0)


def test_what_was_refused_and_came_again_is_no_duplicate() -> None:
    """A 503 says that the destination has not processed the event."""
    verdict = judged([arrival("a", accepted=False, taken=False), *ARRIVED])
    assert verdict.held
    assert verdict.duplicates == 0


def test_a_committed_event_that_never_arrived_is_lost() -> None:
    """Whatever the outbox's own table says of it: marked delivered, pending, or gone."""
    for states in (DELIVERED, DELIVERED | {"c": "pending"}, {"a": "delivered", "b": "delivered"}):
        verdict = judged(ARRIVED[:2], states)
        assert verdict.lost == 1
        assert verdict.troubles == ("1 committed, but never accepted by the destination: c",)


def test_an_event_that_was_only_cut_off_has_not_been_accepted() -> None:
    """The last word must be a 2xx."""
    assert judged([*ARRIVED[:2], arrival("c", accepted=False)]).lost == 1


def test_an_event_recorded_as_failed_is_not_lost() -> None:
    """Given up with a reason is what the promise says."""
    verdict = judged(ARRIVED[:2], DELIVERED | {"c": "failed"})
    assert verdict.held
    assert (verdict.failed, verdict.lost, verdict.delivered) == (1, 0, 2)


def test_an_event_of_a_rolled_back_transaction_breaks_it() -> None:
    """Even if the destination refused it: it was sent."""
    verdict = judged([*ARRIVED, arrival("y", accepted=False, taken=False)])
    assert verdict.sent_after_rollback == 1
    assert verdict.troubles == ("1 arrived although rolled back: y",)


def test_one_key_with_other_bytes_breaks_it() -> None:
    """The destination could not tell that it is the same event."""
    verdict = judged([*ARRIVED, arrival("a", body="other")])
    assert verdict.altered == 1
    assert verdict.troubles == ("1 arrived under one key with different bytes: a",)


def test_the_same_bytes_under_another_key_break_it() -> None:
    """A webhook that became two events, or a retry under a new key."""
    verdict = judged([arrival("a", body="same"), arrival("b", body="same"), arrival("c")])
    assert verdict.altered == 2
    assert verdict.troubles == ("2 arrived under several keys with the same bytes: a, b",)


def test_a_stranger_breaks_it() -> None:
    """What the application never enqueued, and what has no key."""
    verdict = judged([*ARRIVED, arrival("z"), arrival(None)])
    assert verdict.troubles == (
        "1 arrived, but never enqueued by the application: z",
        "POSTs without an Idempotency-Key arrived",
    )


def test_an_arrival_that_is_not_marked_breaks_it() -> None:
    """It would be sent again and again."""
    verdict = judged(ARRIVED, DELIVERED | {"b": "pending"})
    assert verdict.delivered == 2
    assert verdict.troubles == ("1 arrived, but not marked delivered: b",)


def test_many_troubles_of_a_kind_are_counted_and_three_named() -> None:
    """A sentence stays a sentence."""
    verdict = judge([f"{number:02}" for number in range(50)], [], [], {})
    assert verdict.troubles == ("50 committed, but never accepted by the destination: 00, 01, 02, ...",)


@given(st.data())
def test_any_missing_or_added_event_is_seen(data: st.DataObject) -> None:
    """From a run that held, take one event's arrivals away or add a rolled back one's: it no longer holds."""
    keys = data.draw(st.lists(st.text("abcdef", min_size=1), min_size=2, unique=True))
    cut = data.draw(st.integers(1, len(keys) - 1))
    committed, rolled_back = keys[:cut], keys[cut:]
    states = dict.fromkeys(committed, "delivered")
    arrivals = data.draw(st.permutations([arrival(key) for key in committed * 2]))
    assert judge(committed, rolled_back, arrivals, states).held
    gone = data.draw(st.sampled_from(committed))
    assert judge(committed, rolled_back, [each for each in arrivals if each.key != gone], states).lost == 1
    added = [*arrivals, arrival(data.draw(st.sampled_from(rolled_back)))]
    assert judge(committed, rolled_back, added, states).sent_after_rollback == 1


@given(st.integers(50, 2000), st.integers())
def test_the_plan_writes_as_many_events_as_were_asked_for(events: int, seed: int) -> None:
    """Each kind of visit is there; webhooks come twice and are one event; a seed repeats the order."""
    visits, again = (plan(events, random.Random(seed)) for _ in range(2))  # noqa: S311 - a story, no secret
    assert sum(2 if each.kind is Kind.COUPON else 1 for each in set(visits)) == events
    assert {each.kind for each in visits} == set(Kind)
    assert all(visits.count(each) == 2 for each in set(visits) if each.kind is Kind.WEBHOOK)
    assert again == visits


def test_the_ledger_can_be_read_after_a_kill_in_the_middle_of_a_write(tmp_path: Path) -> None:
    """SQLite's journal of the unfinished transaction is rolled back by whoever looks next, and that may be the demo."""
    alive, dead = tmp_path / "alive", tmp_path / "dead"
    alive.mkdir()
    with closing(sqlite3.connect(alive / "shop.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE outbox_message (id, state)")
        connection.execute("INSERT INTO outbox_message VALUES ('a', 'pending')")
        connection.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the commit
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO outbox_message VALUES (?, 'pending')", [("x" * 500,)] * 500)
        connection.execute("UPDATE outbox_message SET state = 'delivered'")
        shutil.copytree(alive, dead)
    assert {each.name for each in dead.iterdir()} == {"shop.db", "shop.db-journal"}
    assert Ledger(dead / "shop.db").states() == {"a": "pending"}
