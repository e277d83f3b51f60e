"""What producers do: transactions, savepoints, keys."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

from hypothesis import strategies as st
from sqlalchemy import Connection, insert

import outbox
from machine.base import DESTINATIONS, LATER, Base
from machine.moves import move
from oracle import Row, Transaction
from outbox.producer.ids import uuid7
from outbox.schema import message
from support.applications import event
from support.stage import Stage


class Wish(NamedTuple):
    """Some messages to enqueue, one after another."""

    key: str | None
    park: bool
    dedup_key: str | None
    delay: float
    destination: str
    times: int


_DEDUP_KEYS = st.sampled_from([None] * 6 + ["x", "y"])
_TIMES = st.integers(1, 3)
WISHES = st.one_of(
    st.builds(
        Wish,
        st.none(),
        st.sampled_from([False, False, True]),
        _DEDUP_KEYS,
        st.sampled_from([0.0, 0.0, LATER]),
        DESTINATIONS,
        _TIMES,
    ),
    st.builds(
        Wish,
        st.sampled_from(["a", "a", "b", "c"]),
        st.sampled_from([False] * 7 + [True]),
        _DEDUP_KEYS,
        st.just(0.0),
        DESTINATIONS,
        _TIMES,
    ),
)
SLOTS = st.integers(0, 1)


@dataclass
class Producer:
    """An application's transaction that is open."""

    connection: Connection
    transaction: Transaction


class Producers(Base):
    """Two applications; each has at most one transaction open."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.all_keyed = False
        """Whether all messages of the run have a key: there are longer lines then."""
        self._producers: dict[int, Producer] = {}

    @move(
        3,
        slot=SLOTS,
        wishes=st.lists(WISHES, min_size=1, max_size=4),
        savepoint=st.sampled_from([None, None, None, "release", "rollback"]),
        end=st.sampled_from(["commit", "commit", "rollback", "open", "open"]),
    )
    def enqueue(self, slot: int, wishes: list[Wish], savepoint: str | None, end: str) -> None:
        """Enqueue in a new transaction or an open one. The first wish is outside of the savepoint."""
        if slot not in self._producers:
            self._producers[slot] = Producer(self.stage.application(), self.ledger.begin())
        producer = self._producers[slot]
        self._enqueue(producer, wishes[:1])
        if savepoint is None:
            self._enqueue(producer, wishes[1:])
        else:
            self._enqueue_in_savepoint(producer, wishes[1:], keep=savepoint == "release")
        if end != "open" or not self.stage.has_locks:
            self._end(slot, commit=end != "rollback")

    @move(1, slot=SLOTS, commit=st.sampled_from([True, True, False]))
    def end_transaction(self, slot: int, *, commit: bool) -> None:
        """Commit late, or roll back."""
        if self._producers:
            self._end(slot if slot in self._producers else min(self._producers), commit=commit)

    def end_producers(self) -> None:
        """Roll back what is open."""
        for slot in [*self._producers]:
            self._end(slot, commit=False)

    def _enqueue(self, producer: Producer, wishes: list[Wish]) -> None:
        for wish in (each for each in wishes for _ in range(each.times)):
            name = f"event_{next(self.ledger.moments)}"
            if wish.destination == "overcentric":
                self._enqueue_one(producer, self._possible(producer, wish), name)
            else:
                self._insert(producer, wish, name)

    def _possible(self, producer: Producer, wish: Wish) -> Wish:
        """Leave out a `dedup_key` that would wait for the other transaction; give it a key if all have one."""
        if any(other.transaction.touched for other in self._producers.values() if other is not producer):
            wish = wish._replace(dedup_key=None)
        return wish._replace(key="a", park=False, delay=0.0) if self.all_keyed and wish.key is None else wish

    def _enqueue_one(self, producer: Producer, wish: Wish, name: str) -> None:
        transaction = producer.transaction
        options: dict[str, Any] = {"ordering_key": wish.key, "dedup_key": wish.dedup_key}
        options |= {"on_unknown": "park" if wish.park else "retry", "delay": wish.delay or None}
        owner = self.ledger.owner(transaction, wish.dedup_key)
        made = str(outbox.enqueue(producer.connection, event(name), **options))
        transaction.touched |= wish.dedup_key is not None
        if owner is not None:
            assert made == owner
            return
        if wish.dedup_key is not None:
            transaction.keys[wish.dedup_key] = made
        self._born(transaction, made, wish, name)

    def _insert(self, producer: Producer, wish: Wish, name: str) -> None:
        """Write a message to a destination that `enqueue` does not know."""
        made = uuid7()
        values = {"id": made, "name": name, "body": "{}", "destination": wish.destination, "ordering_key": wish.key}
        producer.connection.execute(insert(message), values | {"on_unknown": "park" if wish.park else "retry"})
        self._born(producer.transaction, str(made), wish._replace(delay=0.0), name)

    def _born(self, transaction: Transaction, made: str, wish: Wish, name: str) -> None:
        asked = next(self.ledger.moments)
        transaction.born.append(
            Row(
                made,
                name,
                wish.destination,
                wish.key,
                wish.park,
                asked,
                transaction.number,
                self.oracle.now,
                wish.delay,
            )
        )

    def _enqueue_in_savepoint(self, producer: Producer, wishes: list[Wish], *, keep: bool) -> None:
        before = producer.transaction.savepoint()
        savepoint = producer.connection.begin_nested()
        self._enqueue(producer, wishes)
        if keep:
            savepoint.commit()
        else:
            savepoint.rollback()
            producer.transaction.roll_back_to(before)

    def _end(self, slot: int, *, commit: bool) -> None:
        producer = self._producers.pop(slot)
        with closing(producer.connection):
            if commit:
                producer.connection.commit()
                self.oracle.rows |= self.ledger.commit(producer.transaction)
            else:
                producer.connection.rollback()
        assert self.stage.owners() == self.ledger.owners
