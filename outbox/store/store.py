"""All that a worker asks of the database: each method is one transaction."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
from uuid import UUID

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from outbox.errors import OutboxError
from outbox.message import Cause, Message
from outbox.store.backlog import backlog
from outbox.store.claim import Claimed, claim, claim_heads, new_claim
from outbox.store.commits import commits
from outbox.store.evidence import Choice
from outbox.store.gates import Gate, gates
from outbox.store.heads import find_heads
from outbox.store.heartbeat import farewell, heartbeat
from outbox.store.pauses import Grounds, Length, pause
from outbox.store.position import Position
from outbox.store.probes import Probe, end_turn, find_candidates, pause_again, probe, reopen
from outbox.store.purge import Kept, PrimaryKey, find, id_of, remove
from outbox.store.release import release
from outbox.store.requirements import check_server, require_file
from outbox.store.settle import Settled, Settlement, settle
from outbox.store.slots import is_ramping, slots
from outbox.store.sockets import cut
from outbox.store.succession import Succession
from outbox.store.transactions import Transactions
from outbox.store.trouble import explain, refused
from outbox.store.version import check_schema
from outbox.store.waiting import Waiting, due, is_anything_due, strangers, waiting
from outbox.store.work import Place, Work, find_work

TROUBLE = (DBAPIError, PoolTimeoutError)
"""What a call raises when the database is at fault."""


class Store:
    """The worker's side of the database. One thread does all of its work.

    `blocks`: a failed message holds up those of its key behind it. `listens`: the application sends notifications.
    `wipes`: what is delivered loses its body.
    """

    def __init__(self, engine: Engine, *, blocks: bool = False, listens: bool = False, wipes: bool = False) -> None:
        self._engine = engine
        self._blocks = blocks
        self._listens = listens
        self._wipes = wipes
        self._transactions = self._looks = Transactions(engine)
        # On SQLite a transaction that writes takes the lock that the application's writers want too. Elsewhere one
        # connection is enough for a worker, and all that it may count on.
        self._looks_first = engine.dialect.name == "sqlite"
        if self._looks_first:
            self._looks = Transactions(engine, writes=False)

    def check(self) -> None:
        """See that the server can do what the protocol needs and that the schema is ours.

        Raises `ConfigurationError`, `SchemaOutdated`, or one of `TROUBLE`.
        """
        require_file(self._engine.url)
        self._looks.run(_check)

    def claim(
        self, destination: str, choice: Choice, *, limit: int, free: int, lease: float, after: Position | None = None
    ) -> Claimed:
        """Claim messages without a key; see `outbox.store.claim`."""
        if self._looks_first and not self._looks.run(is_anything_due, destination):
            return Claimed(())
        return self._transactions.run(claim, destination, choice, limit=limit, free=free, lease=lease, after=after)

    def claim_heads(
        self, destination: str, choice: Choice, *, limit: int, free: int, lease: float, after: str = ""
    ) -> tuple[Claimed, str]:
        """Claim heads of the keys behind the key `after`; give the last key looked at, empty at the end."""
        heads = self._looks.run(find_heads, destination, choice, after=after, limit=limit, blocks=self._blocks)
        if not heads.ids:
            return Claimed(()), heads.reached
        claimed = self._transactions.run(claim_heads, destination, choice, heads.ids, free=free, lease=lease)
        return claimed, heads.reached

    def succession(self, lease: float) -> Succession:
        """Make a claim ready for the successors of what will be settled; see `outbox.store.succession`."""
        return Succession(new_claim(lease), lease, self._blocks)

    def settle(
        self, outcomes: Sequence[Settlement], unsent: Sequence[Message], succession: Succession | None = None
    ) -> Settled:
        """Settle what was sent and release what was not, in one transaction."""
        return self._transactions.run(_settle_and_release, outcomes, unsent, succession, wipes=self._wipes)

    def gates(self, names: Iterable[str]) -> dict[str, Gate]:
        """How destinations stand: open, or paused by whom and why."""
        return self._looks.look(gates, names)

    def find_work(
        self, places: Sequence[Place], *, gates_of: Collection[str] = ()
    ) -> tuple[dict[str, Work], dict[str, Gate]]:
        """Say where a claim may find something, see `outbox.store.work`; if anywhere, how those destinations stand."""
        works = self._looks.look(find_work, places)
        return works, self.gates(gates_of) if gates_of and any(map(any, works.values())) else {}

    def commits(self) -> AsyncGenerator[None]:
        """Yield each time somebody may have committed; see `outbox.store.commits`. For the event loop's thread."""
        return commits(self._engine, listens=self._listens)

    def pause(
        self,
        name: str,
        cause: Cause,
        reason: str,
        by: str,
        *,
        seconds: float | None,
        first: float,
        longest: float,
        failing_for: float = 0.0,
    ) -> Gate:
        """Pause a destination for all workers; see `outbox.store.pauses`. `seconds`: what it has asked for, if it has."""
        grounds, length = Grounds(cause, reason, by), Length(seconds, first, longest)
        return self._transactions.run(pause, name, grounds, length, failing_for=failing_for)

    def probe(self, name: str, *, turn: float, lease: float) -> Probe | None:
        """Take the turn to probe a destination, with a message; see `outbox.store.probes`. None: not now."""
        choice, candidates = self._looks.run(find_candidates, name, blocks=self._blocks)
        if not candidates:
            return None
        return self._transactions.run(probe, name, choice, candidates, turn=turn, lease=lease)

    def reopen(self, name: str, token: UUID) -> bool:
        """Open a destination whose probe has succeeded; False where the turn was lost."""
        return self._transactions.run(reopen, name, token)

    def pause_again(
        self,
        name: str,
        token: UUID,
        cause: Cause,
        reason: str,
        by: str,
        *,
        seconds: float | None,
        first: float,
        longest: float,
    ) -> Gate:
        """Pause a destination anew whose probe has failed, unless the turn was lost."""
        grounds, length = Grounds(cause, reason, by), Length(seconds, first, longest)
        return self._transactions.run(pause_again, name, token, grounds, length)

    def end_turn(self, name: str, token: UUID) -> None:
        """Give the turn to probe back."""
        self._transactions.run(end_turn, name, token)

    def slots(
        self, name: str, count: int, *, rate: float | None, concurrency: int, ahead: float = math.inf
    ) -> list[float]:
        """Hand out times to send at; see `outbox.store.slots`. None where nothing limits the rate now."""
        if rate is None and not self._looks.run(is_ramping, name):
            return []
        return self._transactions.run(slots, name, count, rate=rate, concurrency=concurrency, ahead=ahead)

    def due(self, destination: str) -> int:
        """Count what is due at a destination, claimed or not, for people to see."""
        return self._looks.run(due, destination)

    def waiting(self, destination: str) -> Waiting:
        """Count what is due at a destination."""
        return self._looks.run(waiting, destination, blocks=self._blocks)

    def backlog(self, names: Iterable[str]) -> int:
        """Count what is due at destinations, no further than people want to know; see `outbox.store.backlog`."""
        return sum(self._looks.look(backlog, name) for name in names)

    def strangers(self, known: Collection[str]) -> list[str]:
        """Give the destinations with pending messages that are not among the known."""
        return self._looks.run(strangers, known)

    def id_of(self, age: float) -> str:
        """Give the first id that could be made so many seconds ago."""
        return self._looks.look(id_of, age)

    def purge(
        self, what: Kept, age: float, after: PrimaryKey, *, until: str, size: int
    ) -> tuple[int, PrimaryKey | None]:
        """Take away what is old on the next page, see `outbox.store.purge`; give how many that was, and the page's end."""
        page = self._looks.look(find, what, age, after, until=until, size=size)
        removed = self._transactions.run(remove, what, age, page.old) if page.old else 0
        return removed, page.reached

    def heartbeat(self, worker: UUID, host: str, pid: int, version: str, trouble: str | None = None) -> None:
        """Say that the worker is alive, and what it waits for on its own."""
        self._transactions.run(heartbeat, worker, host, pid, version, trouble=trouble)

    def farewell(self, worker: UUID) -> None:
        """Take the worker off the list."""
        self._transactions.run(farewell, worker)

    def cut(self, seconds: float) -> None:
        """Make a call fail that has waited so long for an answer. The one method for another thread than the store's."""
        cut(self._engine, seconds)

    def explain(self, error: Exception) -> OutboxError:
        """Say what one of `TROUBLE` means, for people."""
        return explain(error, self._engine) or refused(error)

    def close(self) -> None:
        """Give the connection back. The engine belongs to who opened it."""
        self._transactions.close()
        self._looks.close()


def _check(connection: Connection) -> None:
    check_server(connection)
    check_schema(connection)


def _settle_and_release(
    connection: Connection,
    outcomes: Sequence[Settlement],
    unsent: Sequence[Message],
    succession: Succession | None,
    *,
    wipes: bool,
) -> Settled:
    release(connection, unsent)
    return settle(connection, outcomes, succession, wipes=wipes)
