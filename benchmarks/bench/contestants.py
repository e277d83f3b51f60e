"""Who takes part: our worker on each database, the bare client, and the peers on PostgreSQL."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from bench import environments
from bench.child import ROOT, run
from bench.servers import Servers, plain_url, settle_down
from outbox.producer import enqueue_many
from outbox.store.engine import write_transaction
from support.databases import KINDS, Database

BODY = ROOT / "tests" / "data" / "bodies" / "subscription_purchase.json"
CHUNK = 1000
WIDE = 192
"""Another concurrency for our worker and the bare loop. Which of the two is the better one differs from machine to machine."""


@dataclass(frozen=True)
class Turn:
    """What a contestant is given when it is its turn."""

    servers: Servers
    sink: str
    """Where to POST."""
    body: Path
    """The file that holds what to POST."""
    events: int
    changes: Sequence[str] = ()
    """Settings to change, as `name=value`."""

    @property
    def sets(self) -> list[str]:
        """The changes as arguments."""
        return [f"--set={each}" for each in self.changes]


@dataclass(frozen=True)
class Contestant:
    """One way to bring N events from a database to a sink, or straight to it."""

    name: str
    note: str
    """The HTTP client, and what is special."""
    database: str
    """What the events are in; empty for the bare client."""
    take: Callable[[Turn], dict[str, Any]]
    """Fill a fresh database, drain it in a fresh process, and give what that has measured."""
    share: float = 1.0
    """Of the events of a round. Who is slow gets fewer, so that a round ends; the figure is a rate."""
    environment: str = ""
    """The peer's environment; empty for our own."""
    script: tuple[object, ...] = ()
    """The peer's script."""
    sets: tuple[str, ...] = ()
    """Arguments that set what differs from the script's own choice."""

    def events(self, of: int) -> int:
        """How many it delivers in a round."""
        return max(200, round(of * self.share))


def everyone() -> list[Contestant]:
    """All contestants, in the order of a round."""
    ours = [contestant for kind in KINDS for contestant in (_ours(kind), _ours(kind, WIDE))]
    return [*ours, _bare(), _bare(WIDE), *_peers()]


def named(names: Iterable[str]) -> list[Contestant]:
    """Those with these names."""
    known = {each.name: each for each in everyone()}
    return [known[name] for name in names]


def ready() -> list[Contestant]:
    """Our own, and of each peer whose environment is there the one that its users have."""
    variants = ("-pyreqwest", "-direct", f"-{WIDE}")
    plain = [each for each in everyone() if not each.name.endswith(variants)]
    return [each for each in plain if not each.environment or environments.is_ready(each.environment)]


def write_body(folder: Path) -> Path:
    """Write the documented body as it goes over the wire."""
    file = folder / "body.json"
    file.write_text(json.dumps(json.loads(BODY.read_text(encoding="utf-8")), separators=(",", ":")), encoding="utf-8")
    return file


def _ours(kind: str, concurrency: int | None = None) -> Contestant:
    """Our worker as it comes, or at a concurrency."""
    sets = (f"--set=concurrency={concurrency}",) if concurrency else ()

    def take(turn: Turn) -> dict[str, Any]:
        with turn.servers.fresh(kind) as database:
            enqueue(database, turn.body, turn.events)
            target = ["--database", database.url, "--sink", turn.sink]
            return run([sys.executable, "-m", "bench.ours", "drain", *target, *sets, *turn.sets])

    return Contestant(*_called(kind, concurrency), database=kind, take=take)


def enqueue(database: Database, body: Path, events: int) -> None:
    """Fill our outbox as an application does, a thousand events in a transaction."""
    event = json.loads(body.read_text(encoding="utf-8"))
    for start in range(0, events, CHUNK):
        with database.engine.connect() as connection, write_transaction(connection).begin():
            enqueue_many(connection, repeat(event, min(CHUNK, events - start)))
    database.engine.dispose()
    settle_down(database)


def _bare(concurrency: int | None = None) -> Contestant:
    """The HTTP client alone, at the worker's default concurrency or another."""

    def take(turn: Turn) -> dict[str, Any]:
        told = dict(each.split("=", 1) for each in turn.changes).get("concurrency", concurrency or 64)
        sizes = ["--events", turn.events, "--concurrency", told]
        return run([sys.executable, "-m", "bench.bare", "--sink", turn.sink, "--body", turn.body, *sizes])

    return Contestant(*_called("bare", concurrency), database="", take=take)


def _called(name: str, concurrency: int | None) -> tuple[str, str]:
    """Name and note of one that sends by pyreqwest, at its default concurrency or another."""
    return (f"{name}-{concurrency}", f"pyreqwest, {concurrency} at once") if concurrency else (name, "pyreqwest")


def _peers() -> list[Contestant]:
    """Each with the client that its users would take and, those in Python, once more with ours. `sets`: what a sweep
    found to be better with that client than the script's own choice.
    """
    return [
        _peer("graphile-worker", "graphile-worker", "undici", 1.0),
        _peer("graphile-worker-direct", "graphile-worker", "undici, no local queue", 0.3, "localQueue=-1"),
        _peer("pgqueuer-aiohttp", "pgqueuer", "aiohttp", 0.3, "batch_size=100"),
        _peer("pgqueuer-pyreqwest", "pgqueuer", "pyreqwest", 0.3),
        _peer("faststream-outbox-aiohttp", "faststream-outbox", "aiohttp", 0.3, "terminal_flush_batch_size=100"),
        _peer("faststream-outbox-pyreqwest", "faststream-outbox", "pyreqwest", 0.3),
        _peer("procrastinate-aiohttp", "procrastinate", "aiohttp", 0.1),
        _peer("procrastinate-pyreqwest", "procrastinate", "pyreqwest", 0.1),
    ]


def _peer(label: str, name: str, note: str, share: float, *changes: str) -> Contestant:
    """A peer with the settings that its script chose, and those that differ."""
    sets = tuple(f"--set={each}" for each in changes)
    script = _program(name)
    client = note.partition(",")[0]

    def take(turn: Turn) -> dict[str, Any]:
        with turn.servers.empty() as database:
            target = ["--database", plain_url(database), "--body", turn.body, "--events", turn.events]
            _script(name, script, "enqueue", *target)
            settle_down(database)
            return _script(name, script, "drain", *target, "--sink", turn.sink, "--client", client, *sets, *turn.sets)

    return Contestant(label, note, "postgresql", take, share, name, script, sets)


def _program(name: str) -> tuple[object, ...]:
    """What runs a peer."""
    if name == "graphile-worker":
        return ("node", ROOT / "benchmarks" / "peers" / "with_graphile_worker.mjs")
    return ("python", "-m", f"peers.with_{name.replace('-', '_')}")


def settings_of(peer: Contestant) -> dict[str, Any]:
    """What a peer's script says of its settings: `best`, and what the `sweep` tries."""
    return _script(peer.environment, peer.script, "settings", *peer.sets)


def _script(environment: str, script: tuple[object, ...], *arguments: object) -> dict[str, Any]:
    """Run a peer's script in its environment. It finds the other scripts, and nothing of ours."""
    folder = environments.ready(environment)
    program = folder / "bin" / "python" if script[0] == "python" else script[0]
    return run([program, *script[1:], *arguments], cwd=folder, env={"PYTHONPATH": str(ROOT / "benchmarks")})
