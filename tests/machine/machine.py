"""All moves together."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from machine.base import DESTINATIONS
from machine.moves import Move, move, moves
from machine.producers import WISHES, Producers, Wish
from machine.surroundings import Surroundings
from machine.workers import NUMBERS, Workers
from outbox.store import Choice


class Everybody(Producers, Workers, Surroundings):
    """Producers, workers, and what goes on around them."""

    @move(2, number=NUMBERS, key=st.sampled_from(["b", "c"]), times=st.integers(1, 3))
    def overtake(self, number: int, key: str, times: int) -> None:
        """Let messages commit late, after a worker has claimed a younger one of their key."""
        wish = Wish(key, park=False, dedup_key=None, delay=0.0, destination="overcentric", times=times)
        self.enqueue(0, [wish], None, "open")
        self.enqueue(1, [wish], None, "commit")
        self.agree()
        self.claim_all(number, Choice.ANY)
        self.end_transaction(0, commit=True)
        self.agree()
        self.claim_all(number, Choice.ANY)

    @move(2, destination=DESTINATIONS, number=NUMBERS, lasts=st.sampled_from([False, False, True]))
    def pause(self, destination: str, number: int, *, lasts: bool) -> None:
        """Let a worker look while a destination is paused; go on again at once, or the next time."""
        was_paused = destination in self.oracle.paused
        self.set_pause(destination, paused=True)
        self.claim_all(number, Choice.ANY, destination)
        self.set_pause(destination, paused=lasts and not was_paused)


class Machine(Everybody):
    """What hypothesis drives."""

    @initialize(
        blocks=st.booleans(),
        all_keyed=st.sampled_from([False, False, True]),
        late=st.lists(WISHES, max_size=3),
        wishes=st.lists(WISHES, min_size=4, max_size=8),
    )
    def start(self, late: list[Wish], wishes: list[Wish], *, blocks: bool, all_keyed: bool) -> None:
        """Choose what happens behind a failed message, and enqueue some for a beginning."""
        self.oracle.blocks, self.all_keyed = blocks, all_keyed
        if late:
            self.enqueue(0, late, None, "open")
        self.enqueue(1, wishes, None, "commit")

    @rule(happens=moves(Everybody))
    def then(self, happens: Move) -> None:
        """Let one thing happen."""
        getattr(self, happens.name)(**happens.arguments)

    def teardown(self) -> None:
        """Close what is open."""
        self.end_producers()
        self.end_claims()
        self.end_locks()
