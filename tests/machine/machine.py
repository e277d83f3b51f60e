"""All rules together."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from machine.moves import Move, moves
from machine.producers import WISHES, Producers, Wish
from machine.surroundings import Surroundings
from machine.workers import Workers


class Machine(Producers, Workers, Surroundings):
    """Producers, workers, and what goes on around them."""

    @initialize(
        blocks=st.booleans(),
        one_key=st.booleans(),
        late=st.lists(WISHES, max_size=3),
        wishes=st.lists(WISHES, min_size=4, max_size=8),
    )
    def start(self, late: list[Wish], wishes: list[Wish], *, blocks: bool, one_key: bool) -> None:
        """Choose what happens behind a failed message, and enqueue some: a run may have no other rule that does."""
        self.oracle.blocks, self.one_key = blocks, one_key
        if late:
            self.enqueue(0, late, None, "open")
        self.enqueue(1, wishes, None, "commit")

    @rule(happens=moves(Producers, Workers, Surroundings))
    def then(self, happens: Move) -> None:
        """Let one thing happen."""
        getattr(self, happens.name)(**happens.arguments)

    def teardown(self) -> None:
        """Close what is open."""
        self.end_producers()
        self.end_claims()
        self.end_locks()
