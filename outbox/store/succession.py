"""Succession: whoever settles the head of a key claims the next one in the same transaction.

So a key runs at the destination's speed, not at one message for each look at the keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from outbox.message import Claim, Message, Outcome, Retry
from outbox.store.evidence import Choice, choose
from outbox.store.heads import find_successors
from outbox.store.take import lock_among, take


@dataclass(frozen=True, slots=True)
class Succession:
    """A claim made ready before the settle, so that a settle repeated after a lost answer finds its own rows."""

    claim: Claim
    lease: float
    """Seconds."""
    blocks: bool
    """Whether a failed message holds up those behind it."""


def succeed(
    connection: Connection, settled: Iterable[tuple[Message, Outcome]], succession: Succession
) -> Sequence[Message]:
    """Claim the successors of messages with keys that this transaction has settled.

    Suspects are left to a worker with nothing else in hand, and messages to be parked in doubt to a free sender.
    """
    ended: dict[str, list[str]] = defaultdict(list)
    for message, outcome in settled:
        if not isinstance(outcome, Retry):
            ended[message.destination].append(message.id)
    successors: list[Message] = []
    for destination, ids in ended.items():
        heads = find_successors(connection, ids, blocks=succession.blocks)
        chosen = choose(lock_among(connection, heads, succession.claim), Choice.ANY, free=0)
        successors += take(connection, destination, chosen, succession.claim, succession.lease)
    return successors
