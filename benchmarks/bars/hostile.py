"""Destinations that misbehave, by the thousand: each try ends in time, with one outcome, and leaves no memory behind."""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from multiprocessing.connection import Connection as Pipe

import trustme
import uvloop

from bars.bar import Bar, Figure
from outbox.delivery import Delivery
from outbox.message import Certainty, Failed, Retry
from outbox.settings import Settings
from support.databases import Database
from support.misbehaviour import HANDSHAKES, STORIES
from support.raw_server import RawServer
from support.sending import BODY, CA, delivering, message, server_tls

IN_FLIGHT = 64
MEBIBYTE = 2**20
LARGEST = Settings().max_body

_spawn = multiprocessing.get_context("spawn")


@dataclass
class Seen:
    """What the tries came to."""

    tries: int = 0
    wrong: int = 0
    """Without exactly one outcome: an exception, a delivery, another number of tries."""
    otherwise: int = 0
    """Of another certainty than on an idle machine."""
    latest: float = 0.0
    """Longest time beyond the deadline, in seconds."""


def measure(_database: Database, *, tries: int = 10_000, deadline: float = 1.0) -> Iterator[Figure]:
    """Send to each in turn. The first rounds bring the memory to what that many connections need."""
    with _served() as places:
        seen, grown = asyncio.run(_all(places, tries, deadline))
    misbehaviours = len(STORIES) + len(HANDSHAKES)
    what = f"without exactly one outcome, {seen.tries:,} tries, {misbehaviours} misbehaviours"
    yield Figure(what, seen.wrong, most=0)
    yield Figure("of another certainty than alone: the machine was slow", seen.otherwise)
    yield Figure("longest try beyond its deadline", max(0.0, seen.latest), most=0.5, unit=" s", timed=True)
    yield Figure("resident memory grown", grown / MEBIBYTE, most=32, unit=" MiB")


@contextmanager
def _served() -> Iterator[list[tuple[str, str]]]:
    """Serve every misbehaviour from another process: names and URLs."""
    ours, theirs = _spawn.Pipe()
    authority = CA.cert_pem.bytes(), CA.private_key_pem.bytes()
    process = _spawn.Process(target=_serve, args=(theirs, *authority), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()


def _serve(pipe: Pipe, certificate: bytes, key: bytes) -> None:
    async def serve() -> None:
        authority = trustme.CA.from_pem(certificate, key)
        async with AsyncExitStack() as stack:
            places = []
            for name, each in STORIES.items():
                for over in each.over:
                    context = server_tls("localhost", authority=authority) if over == "tls" else None
                    places.append((name, (await stack.enter_async_context(RawServer(each.script, context))).url))
            for name, (script, _) in HANDSHAKES.items():
                server = await stack.enter_async_context(RawServer(script))
                places.append((name, server.url.replace("http:", "https:")))
            pipe.send(places)
            await asyncio.Event().wait()

    uvloop.run(serve())


async def _all(places: Sequence[tuple[str, str]], tries: int, deadline: float) -> tuple[Seen, int]:
    """Send twice to each place, and then the tries that count: what was seen, and by how many bytes memory grew."""
    async with AsyncExitStack() as stack:
        targets = []
        for name, url in places:
            delivery = await stack.enter_async_context(delivering(url, try_timeout=deadline))
            delivery.stop()  # one try is an attempt
            targets.append((name, delivery))
        await _send(targets, 2 * len(targets), deadline)
        before = _resident()
        return await _send(targets, tries, deadline), _resident() - before


async def _send(targets: Sequence[tuple[str, Delivery]], tries: int, deadline: float) -> Seen:
    seen, queue = Seen(), islice(cycle(targets), tries)

    async def one_after_another() -> None:
        for name, delivery in queue:
            await _try(name, delivery, seen, deadline)

    await asyncio.gather(*(one_after_another() for _ in range(IN_FLIGHT)))
    return seen


async def _try(name: str, delivery: Delivery, seen: Seen, deadline: float) -> None:
    # A larger body than the systems' buffers take may stay in memory for one more deadline.
    body, certainty = (
        (STORIES[name].body[:LARGEST], Certainty.UNKNOWN) if name in STORIES else (BODY, Certainty.NOT_SENT)
    )
    began = time.perf_counter()
    try:
        outcome = await delivery.attempt(message(body=body))
    except Exception:  # noqa: BLE001 - that none is raised is what is measured
        outcome = None
    seen.tries += 1
    seen.latest = max(seen.latest, time.perf_counter() - began - deadline)
    if isinstance(outcome, Retry | Failed) and outcome.attempt.tries == 1:
        seen.otherwise += outcome.attempt.certainty is not certainty
    else:
        seen.wrong += 1


def _resident() -> int:
    """The most memory that this process ever had resident, in bytes (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


BAR = Bar("hostile", measure, kinds=("sqlite",), short={"tries": 200, "deadline": 0.5})
"""It needs no database: it runs once."""
