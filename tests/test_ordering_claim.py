"""Ordering keys in the store: which message of a key may be claimed, and who claims the next one."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, update

from outbox.message import Delivered, Failed, FailureReason, Message, Outcome, Retry
from outbox.schema import FOREVER, destination, message, utc_after
from outbox.store import Choice, Claimed, Settled, Store
from outbox.store.claim import claim_heads
from outbox.store.engine import write_transaction
from support.databases import Database
from support.rows import LEASE, an_attempt, expire, look, put

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
FAILED = Failed(FailureReason.REJECTED, an_attempt())


def heads(
    database: Database,
    limit: int = 10,
    *,
    after: str = "",
    choice: Choice = Choice.ANY,
    free: int = 10,
    blocks: bool = False,
) -> list[Message]:
    """Claim heads as a worker of its own would."""
    with closing(Store(database.engine, blocks=blocks)) as store:
        claimed, _ = store.claim_heads("overcentric", choice, limit=limit, free=free, lease=LEASE, after=after)
        return list(claimed.messages)


def settle(database: Database, *outcomes: tuple[Message, Outcome], blocks: bool = False) -> Settled:
    """Settle as a worker does that goes on."""
    with closing(Store(database.engine, blocks=blocks)) as store:
        return store.settle(outcomes, (), store.succession(LEASE))


def names(messages: list[Message]) -> list[str]:
    return [each.id for each in messages]


def test_only_the_oldest_message_of_a_key_is_claimed(database: Database) -> None:
    """A claim takes the head of each key and nothing else; while the head is held the key has nothing to give."""
    first = put(database, 3, ordering_key="a")
    second = put(database, 2, ordering_key="b")
    put(database, 2)
    claimed = heads(database)
    assert names(claimed) == [first[0], second[0]]
    assert all(each.keyed for each in claimed)
    assert heads(database) == []


def test_heads_of_many_keys_are_claimed_in_turns(database: Database) -> None:
    """Claims go round the keys: each goes on behind the last key, and the end is told."""
    ids = {key: put(database, 2, ordering_key=key)[0] for key in ("a", "b", "c", "d", "e")}
    with closing(Store(database.engine)) as store:
        turns = []
        after = ""
        for _ in range(3):
            claimed, after = store.claim_heads("overcentric", Choice.ANY, limit=2, free=10, lease=LEASE, after=after)
            turns.append((names(list(claimed.messages)), after))
    assert turns[0] == ([ids["a"], ids["b"]], "b")
    assert turns[1] == ([ids["c"], ids["d"]], "d")
    assert turns[2][0] == [ids["e"]]


def test_a_claim_of_heads_tells_of_what_it_left_for_a_free_sender(database: Database) -> None:
    """A head to be parked in doubt is claimed only for a free sender; otherwise the claim tells that it is there."""
    (parked,) = put(database, ordering_key="a", on_unknown="park")
    with closing(Store(database.engine)) as store:
        claims = [store.claim_heads("overcentric", Choice.ANY, limit=2, free=free, lease=LEASE)[0] for free in (0, 1)]
    assert [names(list(claimed.messages)) for claimed in claims] == [[], [parked]]
    assert [claimed.left for claimed in claims] == [True, False]
    assert not any(claimed.more or claimed.suspects for claimed in claims)


def test_a_long_key_does_not_hide_those_behind_it(database: Database) -> None:
    """However many messages a key has, a few looks come to the keys behind it."""
    _fill(database, ["long"] * 5000)
    (behind,) = put(database, ordering_key="short")
    found: list[str] = []
    with closing(Store(database.engine)) as store:
        after = ""
        for _ in range(3):
            claimed, after = store.claim_heads("overcentric", Choice.ANY, limit=9, free=9, lease=LEASE, after=after)
            found += names(list(claimed.messages))
    assert found == [str(UUID(int=1)), behind]


def test_a_look_goes_so_far_and_the_next_goes_on(database: Database) -> None:
    """A look that finds nothing comes past 200 keys, or two for each head asked for, and tells where it ended."""
    _fill(database, [f"{number:03}" for number in range(450)], due_at=datetime(2999, 1, 1, tzinfo=UTC))
    put(database, ordering_key="0", state="delivered")
    (suspect,) = put(database, ordering_key="9", lost=2)
    ends = {}
    with closing(Store(database.engine)) as store:
        for limit, after in [(10, ""), (150, ""), (10, "199"), (10, "399"), (10, "9")]:
            looked = store.claim_heads("overcentric", Choice.ANY, limit=limit, free=9, lease=LEASE, after=after)
            ends[limit, after] = looked[1]
    assert list(ends.values()) == ["199", "299", "399", "9", ""]
    assert names(heads(database, choice=Choice.SUSPECT)) == [suspect]


@pytest.mark.parametrize("outcome", [Delivered(200), FAILED], ids=["delivered", "failed"])
def test_settling_a_head_claims_its_successor(database: Database, outcome: Outcome) -> None:
    """Who settles a message of a key holds the next one, with a lease of its own; other keys are left alone."""
    _, second, third = put(database, 3, ordering_key="a")
    put(database, 2, ordering_key="b")
    (head, _) = heads(database)
    (successor,) = settle(database, (head, outcome)).successors
    assert (successor.id, successor.keyed) == (second, True)
    assert successor.claim.token != head.claim.token
    assert look(database, second).claim_token == successor.claim.token
    (last,) = settle(database, (successor, outcome)).successors
    assert last.id == third
    assert settle(database, (last, outcome)).successors == []


@pytest.mark.parametrize(
    "outcome", [Delivered(200), FAILED, Retry(60.0, an_attempt())], ids=["delivered", "failed", "to be tried again"]
)
def test_a_head_that_another_has_settled_since_the_look_is_left(database: Database, outcome: Outcome) -> None:
    """Between the look at the keys and the claim another worker may claim and settle a head: that counts."""
    (identity,) = put(database, ordering_key="a")
    (held,) = heads(database)
    assert settle(database, (held, outcome)).lost == []
    with database.engine.connect() as connection, write_transaction(connection).begin():
        assert claim_heads(connection, "overcentric", Choice.ANY, [identity], free=10, lease=LEASE) == Claimed([])


def test_a_head_that_waits_for_its_next_attempt_keeps_its_place(database: Database) -> None:
    """While the head is to be tried again later, nothing of its key is sent."""
    put(database, 2, ordering_key="a")
    (head,) = heads(database)
    assert settle(database, (head, Retry(0.0, an_attempt(), charged=False))).successors == []
    (head,) = heads(database)
    assert settle(database, (head, Retry(60.0, an_attempt()))).successors == []
    assert heads(database) == []


def test_a_key_is_one_of_its_destination(database: Database) -> None:
    """Keys of the same name at two destinations do not wait for each other; a settle claims the next one of each."""
    here = put(database, 2, ordering_key="a")
    there = put(database, 2, ordering_key="a", destination="elsewhere")
    held = heads(database)
    with closing(Store(database.engine)) as store:
        held += store.claim_heads("elsewhere", Choice.ANY, limit=10, free=10, lease=LEASE)[0].messages
    assert names(held) == [here[0], there[0]]
    successors = settle(database, *[(each, Delivered(200)) for each in held]).successors
    assert [(each.id, each.destination) for each in successors] == [(here[1], "overcentric"), (there[1], "elsewhere")]


def test_a_late_commit_becomes_the_head(database: Database) -> None:
    """An older message that shows up while a younger one is held goes before the next, and the next waits for both."""
    older, younger, last = put(database, 3, ordering_key="a", state="delivered")
    _set(database, younger, state="pending")
    (held,) = heads(database)
    _set(database, older, state="pending")
    _set(database, last, state="pending")
    (successor,) = settle(database, (held, Delivered(200))).successors
    assert successor.id == older


def test_a_successor_that_somebody_holds_is_left_to_them(database: Database) -> None:
    """When the older of two that are in flight is settled, the younger one is not sent again beside its holder."""
    older, younger, _ = put(database, 3, ordering_key="a", state="delivered")
    for each in (younger, older):
        _set(database, each, state="pending")
        (held,) = heads(database)
        assert held.id == each
    assert settle(database, (held, Delivered(200))).successors == []


def test_a_failed_head_blocks_its_key_where_that_is_asked_for(database: Database) -> None:
    """With `block` nothing behind a failed message is claimed, by a settle or a look, until it is sent again."""
    first, second = put(database, 2, ordering_key="a")
    (other, _) = put(database, 2, ordering_key="b")
    (head, passed) = heads(database, blocks=True)
    assert settle(database, (head, FAILED), (passed, Delivered(200)), blocks=True).successors[0].id != second
    assert heads(database, blocks=True) == []
    _set(database, first, state="pending", failure_reason=None)
    assert names(heads(database, blocks=True)) == [first]
    assert passed.id == other


def test_only_an_earlier_failed_message_of_the_same_key_blocks(database: Database) -> None:
    """One that was enqueued later, or under another key or destination, holds nothing up; one of the same instant does."""
    first, second = put(database, 2, ordering_key="a", created_at=NOON)
    (later,) = put(database, ordering_key="a", created_at=NOON + timedelta(seconds=1))
    failed: dict[str, Any] = {"state": "failed", "failure_reason": "rejected"}
    put(database, ordering_key="b", created_at=NOON, **failed)
    put(database, ordering_key="a", created_at=NOON, destination="elsewhere", **failed)
    _set(database, later, **failed)
    (head,) = heads(database, blocks=True)
    assert head.id == first
    assert settle(database, (head, FAILED), blocks=True).successors == []
    assert heads(database, blocks=True) == []
    assert names(heads(database)) == [second]


def test_the_oldest_message_of_a_key_is_its_head_whatever_the_ids_say(database: Database) -> None:
    """The order of a key is that of enqueuing, as the database's clock saw it; the id decides within an instant."""
    second, third = put(database, 2, ordering_key="a", created_at=NOON)
    (first,) = put(database, ordering_key="a", created_at=NOON - timedelta(seconds=1))
    _set(database, second, lost=2)
    assert heads(database, choice=Choice.SUSPECT) == []
    (held,) = heads(database)
    assert held.id == first
    assert settle(database, (held, Delivered(200))).successors == []
    (held,) = heads(database, choice=Choice.SUSPECT)
    assert held.id == second
    assert names(list(settle(database, (held, Delivered(200))).successors)) == [third]


def test_keys_that_have_nothing_pending_cost_a_look_nothing(database: Database) -> None:
    """However many keys have been worked off, one look comes to the one that is not."""
    (first,) = put(database, ordering_key="0")
    _fill(database, [f"{number:03}" for number in range(450)], state="delivered")
    (last,) = put(database, ordering_key="9")
    assert names(heads(database)) == [first, last]


def test_what_is_behind_a_failed_head_passes_by_default(database: Database) -> None:
    """Without `block` a look claims what stands behind a failed message."""
    first, second = put(database, 2, ordering_key="a")
    _set(database, first, state="failed", failure_reason="rejected")
    assert names(heads(database)) == [second]


def test_a_repeated_settle_finds_the_successor_that_it_claimed(database: Database) -> None:
    """After a COMMIT whose answer was lost the same settle gives the same successor, and holds nothing against it."""
    _, second = put(database, 2, ordering_key="a")
    (head,) = heads(database)
    with closing(Store(database.engine)) as store:
        succession = store.succession(LEASE)
        results = [store.settle([(head, Delivered(200))], (), succession) for _ in range(2)]
    assert [names(list(each.successors)) for each in results] == [[second], [second]]
    row = look(database, second)
    assert (row.claim_token, row.lost) == (succession.claim.token, 0)


def test_a_settle_whose_lease_was_lost_claims_no_successor(database: Database) -> None:
    """A worker that outlived its lease does not go on with the key that another has taken over, or given back."""
    put(database, 2, ordering_key="a")
    (mine,) = heads(database)
    expire(database)
    (theirs,) = heads(database)
    assert settle(database, (mine, Delivered(200))).successors == []
    assert theirs.id == mine.id
    with closing(Store(database.engine)) as store:
        store.settle((), [theirs])
    assert settle(database, (mine, Delivered(200))).successors == []
    assert names(heads(database)) == [mine.id]


def test_a_lost_lease_takes_nothing_from_the_one_that_followed(database: Database) -> None:
    """Who lost a message's lease and claimed it again goes on with its key, though both outcomes are in one group."""
    _, second = put(database, 2, ordering_key="a")
    (before,) = heads(database)
    expire(database)
    (again,) = heads(database)
    result = settle(database, (before, Delivered(200)), (again, Delivered(200)))
    assert names([each for each, _ in result.lost]) == [again.id]
    assert names(list(result.successors)) == [second]


def test_suspects_and_messages_to_be_parked_are_not_claimed_with_a_settle(database: Database) -> None:
    """A successor that may kill its worker, or that must not wait in a queue, is left to a claim of its own."""
    _, suspect = put(database, 2, ordering_key="a")
    _, parked = put(database, 2, ordering_key="b")
    held = heads(database)
    _set(database, suspect, lost=2)
    _set(database, parked, on_unknown="park")
    assert settle(database, *[(each, Delivered(200)) for each in held]).successors == []
    assert heads(database, free=0) == []
    assert names(heads(database)) == [parked]
    assert names(heads(database, choice=Choice.SUSPECT)) == [suspect]


NOT_CLAIMABLE: dict[str, dict[str, Any]] = {
    "due later": {"due_at": utc_after(3600)},
    "held": {"claimed_until": utc_after(60)},
    "settled": {"state": "delivered"},
    "of another destination": {"destination": "elsewhere"},
}


@pytest.mark.parametrize("values", [*NOT_CLAIMABLE.values(), {"lost": 2}], ids=[*NOT_CLAIMABLE, "suspect"])
def test_a_head_that_cannot_be_claimed_hides_no_other(database: Database, values: dict[str, Any]) -> None:
    """A look with room for one head comes to the first that can be claimed."""
    put(database, ordering_key="a", **values)
    put(database, ordering_key="b", **values)
    (claimable,) = put(database, ordering_key="c")
    assert names(heads(database, 1, choice=Choice.CALM)) == [claimable]


@pytest.mark.parametrize(
    "values", [*NOT_CLAIMABLE.values(), {"ordering_key": None}, {"lost": 1}], ids=[*NOT_CLAIMABLE, "no key", "calm"]
)
@pytest.mark.parametrize("blocks", [False, True], ids=["pass", "block"])
def test_suspect_heads_are_claimed_one_by_one(database: Database, values: dict[str, Any], *, blocks: bool) -> None:
    """A look for suspects comes to one that can be claimed, past all that cannot; then to the next."""
    put(database, **{"ordering_key": "a", "lost": 2, **values})
    suspects = [put(database, ordering_key=key, lost=2)[0] for key in ("b", "c")]
    found = [names(heads(database, choice=Choice.SUSPECT, blocks=blocks)) for _ in range(3)]
    assert [len(each) for each in found] == [1, 1, 0]
    assert sorted(found[0] + found[1]) == suspects


def test_a_suspect_has_its_turn_in_its_key(database: Database) -> None:
    """A suspect waits for the head of its key like any other message, and for a failed one where that blocks."""
    head, suspect = put(database, 2, ordering_key="a")
    _set(database, suspect, lost=2)
    assert heads(database, choice=Choice.SUSPECT) == []
    _set(database, head, state="failed", failure_reason="rejected")
    assert heads(database, choice=Choice.SUSPECT, blocks=True) == []
    assert names(heads(database, choice=Choice.SUSPECT)) == [suspect]


def test_a_paused_destination_gives_no_heads(database: Database) -> None:
    """While a destination is paused neither a look nor a settle claims."""
    put(database, 2, ordering_key="a")
    put(database, 1, ordering_key="b")
    (head,) = heads(database, 1)
    with database.engine.begin() as connection:
        connection.execute(insert(destination).values(name="overcentric", paused_until=FOREVER, cause="operator"))
    assert settle(database, (head, Delivered(200))).successors == []
    assert heads(database) == []
    put(database, ordering_key="c", lost=2)
    assert heads(database, choice=Choice.SUSPECT) == []


def test_an_expired_claim_on_a_head_is_claimable_again(database: Database) -> None:
    """A worker that died with the head of a key holds it up for its lease and no longer; the loss is remembered."""
    first, _ = put(database, 2, ordering_key="a")
    heads(database)
    expire(database)
    assert names(heads(database)) == [first]
    assert look(database, first).lost == 1


def test_a_drain_sees_what_can_be_sent_and_nothing_else(database: Database) -> None:
    """A head that is due counts, those behind it do not; a key that waits for an attempt holds no drain."""
    put(database, 3, ordering_key="a")
    head, _ = put(database, 2, ordering_key="b")
    _set(database, head, due_at=utc_after(3600))
    assert _waiting(database) == (1, 0)
    heads(database)
    assert _waiting(database) == (0, 1)


def _fill(database: Database, keys: list[str], **values: object) -> None:
    row = {"destination": "overcentric", "name": "n", "body": "{}"} | values
    rows = [row | {"id": UUID(int=number), "ordering_key": key} for number, key in enumerate(keys, 1)]
    with database.engine.begin() as connection:
        connection.execute(insert(message), rows)


def _waiting(database: Database) -> tuple[int, int]:
    with closing(Store(database.engine)) as store:
        waiting = store.waiting("overcentric")
    return waiting.due, waiting.leased


def _set(database: Database, identity: str, **values: object) -> None:
    with database.engine.begin() as connection:
        connection.execute(update(message).where(message.c.id == UUID(identity)).values(**values))
