"""All rules together."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from machine.producers import Producers
from machine.surroundings import Surroundings
from machine.workers import Workers


class Machine(Producers, Workers, Surroundings):
    """Producers, workers, and what goes on around them."""

    @initialize(blocks=st.booleans())
    def workers_are_told(self, blocks: bool) -> None:  # noqa: FBT001 - hypothesis calls it by name
        """Choose what happens behind a failed message."""
        self.oracle.blocks = blocks

    def teardown(self) -> None:
        """Close what is open."""
        self.end_producers()
        self.end_claims()
        self.end_locks()
