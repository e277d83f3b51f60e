"""What the peers in Python share: a command line, the measure, and when a run has ended.

    python -m peers.with_pgqueuer enqueue --database URL --body FILE --events N
    python -m peers.with_pgqueuer drain --database URL --sink URL --body FILE --events N [--client pyreqwest] [--set name=value]
    python -m peers.with_pgqueuer settings

Each prints one JSON object; `settings` what was chosen and what the sweep tries.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from peers.posting import Post, posting

Settings = dict[str, Any]


@dataclass
class Run:
    """One run: what a peer's worker is given, and the moment at which its queue was empty."""

    database: str
    body: bytes
    events: int
    settings: Settings
    _post: Post
    _handled: int = 0
    _error: Exception | None = None
    _all: asyncio.Event = field(default_factory=asyncio.Event)
    ended: tuple[float, float] = (0.0, 0.0)

    async def handle(self, body: bytes) -> None:
        """Process one job: one POST. The first that fails ends the run, whatever the peer makes of it."""
        try:
            if body != self.body:
                msg = f"a job brought {body!r}, which is not what was enqueued"
                raise ValueError(msg)  # noqa: TRY301 - like a POST that failed
            await self._post(body)
        except Exception as error:
            self._error = error
            self._all.set()
            raise
        self._handled += 1
        if self._handled >= self.events:
            self._all.set()

    async def until_empty(self, left: Callable[[], Awaitable[int]]) -> None:
        """Wait for the last answer, and then until the database says that no job is left. Raises what a POST raised."""
        await self._all.wait()
        if self._error is not None:
            raise self._error
        while await left():  # noqa: ASYNC110 - only the database can tell
            await asyncio.sleep(0.002)
        self.ended = _now()

    @property
    def handled(self) -> int:
        """Jobs whose POST was answered."""
        return self._handled


@dataclass(frozen=True)
class Peer:
    """How to fill and drain a peer's queue. `drain` returns once `Run.until_empty` has and the worker has ended."""

    enqueue: Callable[[str, bytes, int], Awaitable[None]]
    drain: Callable[[Run], Awaitable[None]]
    best: Mapping[str, Any]
    """The settings that the sweep found."""
    sweep: Sequence[Settings]
    """The settings that the sweep tries, each laid over `best`. `in_flight` is how many POSTs may be under way."""


def main(peer: Peer) -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=("enqueue", "drain", "settings"))
    parser.add_argument("--database")
    parser.add_argument("--sink")
    parser.add_argument("--body", type=Path)
    parser.add_argument("--events", type=int, default=0)
    parser.add_argument("--client", default="aiohttp")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    if given.verb == "settings":
        print(json.dumps({"best": dict(peer.best), "sweep": list(peer.sweep)}))
    elif given.verb == "enqueue":
        uvloop.run(_enqueue(peer, given.database, given.body.read_bytes(), given.events))
        print(json.dumps({"events": given.events}))
    else:
        changes = {name: json.loads(value) for name, _, value in (each.partition("=") for each in given.set)}
        print(json.dumps(uvloop.run(_drain(peer, given, {**peer.best, **changes}))))


async def _enqueue(peer: Peer, database: str, body: bytes, events: int) -> None:
    await peer.enqueue(database, body, events)


async def _drain(peer: Peer, given: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    async with posting(given.client, given.sink, settings["in_flight"]) as post:
        run = Run(given.database, given.body.read_bytes(), given.events, settings, post)
        began, cpu = _now()
        await peer.drain(run)
    return {
        "seconds": run.ended[0] - began,
        "cpu_seconds": run.ended[1] - cpu,
        "done": run.handled,
        "settings": settings,
    }


def _now() -> tuple[float, float]:
    """The time, and the CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), usage.ru_utime + usage.ru_stime
