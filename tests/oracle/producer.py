"""What a producer's transaction leaves behind, and which of its messages come before which."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from oracle.row import Row


@dataclass
class Transaction:
    """A producer's transaction that is open."""

    number: int
    born: list[Row] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    """The owners of `dedup_key`s that it has claimed."""
    touched: bool = False
    """Whether it has claimed any, be it in a savepoint that was rolled back: others would wait for it."""

    def savepoint(self) -> Transaction:
        """Remember what there is."""
        return Transaction(self.number, [*self.born], {**self.keys}, self.touched)

    def roll_back_to(self, savepoint: Transaction) -> None:
        """Forget what came since."""
        self.born, self.keys = savepoint.born, savepoint.keys


@dataclass
class Ledger:
    """Who owns a `dedup_key`, and when things happened, on a count of its own."""

    owners: dict[str, str] = field(default_factory=dict)
    moments: count[int] = field(default_factory=count)

    def begin(self) -> Transaction:
        """Begin a transaction."""
        return Transaction(next(self.moments))

    def owner(self, transaction: Transaction, dedup_key: str | None) -> str | None:
        """The message that owns a key, as the transaction sees it."""
        return None if dedup_key is None else transaction.keys.get(dedup_key, self.owners.get(dedup_key))

    def commit(self, transaction: Transaction) -> dict[str, Row]:
        """Give the transaction's messages to the world."""
        self.owners |= transaction.keys
        moment = next(self.moments)
        for row in transaction.born:
            row.committed = moment
        return {row.id: row for row in transaction.born}


def comes_before(first: Row, second: Row) -> bool:
    """Whether the promise of order holds between two messages of a key."""
    if first.transaction == second.transaction:
        return first.asked < second.asked
    return first.committed < second.asked
