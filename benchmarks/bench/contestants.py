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
    database: str
    """What the events are in; empty for the bare client."""
    note: str
    """The HTTP client, and what is special."""
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
    return [*(_ours(kind) for kind in KINDS), Contestant("bare", "", "pyreqwest, no outbox", _bare), *_peers()]


def named(names: Iterable[str]) -> list[Contestant]:
    """Those with these names."""
    known = {each.name: each for each in everyone()}
    return [known[name] for name in names]


def ready() -> list[Contestant]:
    """Our own, and of each peer whose environment is there the one that its users have."""
    variants = ("-pyreqwest", "-direct")
    peers = (each for each in everyone() if each.environment and not each.name.endswith(variants))
    ours = [each for each in everyone() if not each.environment]
    return ours + [each for each in peers if environments.is_ready(each.environment)]


def write_body(folder: Path) -> Path:
    """Write the documented body as it goes over the wire."""
    file = folder / "body.json"
    file.write_text(json.dumps(json.loads(BODY.read_text(encoding="utf-8")), separators=(",", ":")), encoding="utf-8")
    return file


def _ours(kind: str) -> Contestant:
    def take(turn: Turn) -> dict[str, Any]:
        with turn.servers.fresh(kind) as database:
            enqueue(database, turn.body, turn.events)
            target = ["--database", database.url, "--sink", turn.sink]
            return run([sys.executable, "-m", "bench.ours", "drain", *target, *turn.sets])

    return Contestant(kind, kind, "pyreqwest", take)


def enqueue(database: Database, body: Path, events: int) -> None:
    """Fill our outbox as an application does, a thousand events in a transaction."""
    event = json.loads(body.read_text(encoding="utf-8"))
    for start in range(0, events, CHUNK):
        with database.engine.connect() as connection, write_transaction(connection).begin():
            enqueue_many(connection, repeat(event, min(CHUNK, events - start)))
    database.engine.dispose()
    settle_down(database)


def _bare(turn: Turn) -> dict[str, Any]:
    concurrency = dict(each.split("=", 1) for each in turn.changes).get("concurrency", "64")
    sizes = ["--events", turn.events, "--concurrency", concurrency]
    return run([sys.executable, "-m", "bench.bare", "--sink", turn.sink, "--body", turn.body, *sizes])


def _peers() -> list[Contestant]:
    graphile = ("node", ROOT / "benchmarks" / "peers" / "with_graphile_worker.mjs")
    return [
        _peer("graphile-worker", graphile, "undici", 1.0),
        _peer("graphile-worker", graphile, "undici", 0.3, sets=("--set=localQueue=-1",)),
        *(
            _peer(name, ("python", "-m", f"peers.with_{name.replace('-', '_')}"), client, share)
            for name, share in (("pgqueuer", 0.3), ("faststream-outbox", 0.3), ("procrastinate", 0.1))
            for client in ("aiohttp", "pyreqwest")
        ),
    ]


def _peer(
    name: str, script: tuple[object, ...], client: str, share: float, sets: tuple[str, ...] = ()
) -> Contestant:  # fmt: skip
    """A peer with the settings that its script chose, or with some that differ."""

    def take(turn: Turn) -> dict[str, Any]:
        with turn.servers.empty() as database:
            target = ["--database", plain_url(database), "--body", turn.body, "--events", turn.events]
            _script(name, script, "enqueue", *target)
            settle_down(database)
            return _script(name, script, "drain", *target, "--sink", turn.sink, "--client", client, *sets, *turn.sets)

    label = f"{name}-{client}" if client != "undici" else f"{name}-direct" if sets else name
    note = f"{client}, no local queue" if sets else client
    return Contestant(label, "postgresql", note, take, share, name, script, sets)


def settings_of(peer: Contestant) -> dict[str, Any]:
    """What a peer's script says of its settings: `best`, and what the `sweep` tries."""
    return _script(peer.environment, peer.script, "settings", *peer.sets)


def _script(environment: str, script: tuple[object, ...], *arguments: object) -> dict[str, Any]:
    """Run a peer's script in its environment. It finds the other scripts, and nothing of ours."""
    folder = environments.ready(environment)
    program = folder / "bin" / "python" if script[0] == "python" else script[0]
    return run([program, *script[1:], *arguments], cwd=folder, env={"PYTHONPATH": str(ROOT / "benchmarks")})
