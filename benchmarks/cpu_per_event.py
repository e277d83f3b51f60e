"""What an event costs: the worker's CPU per delivered event, beside a bare loop of the same POSTs.

    python benchmarks/cpu_per_event.py
    python benchmarks/cpu_per_event.py --database postgresql://me@localhost/empty --events 100000

Each round enqueues the documented purchase event `--events` times and lets a worker drain it into a server on
loopback that costs little and answers 200 at once. Then the HTTP client alone makes as many POSTs of the same body,
as many in flight, with no outbox around it: what remains between the two is the outbox's own share. Rounds alternate,
each in a fresh process, and the median counts. CPU is user and system time of that process alone, by getrusage; the
server's and the database server's are not in it, SQLite's is.

The database must not hold an outbox yet: its tables are created, and removed at the end. By default it is a SQLite
file in a temporary directory.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import platform
import resource
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from ctypes import c_longlong
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import uvloop
from pyreqwest.client import Client, ClientBuilder

from outbox import migrate
from outbox.errors import ConfigurationError, OutboxError
from outbox.producer import enqueue_many
from outbox.service import run_worker
from outbox.settings import Settings
from outbox.store.engine import open_engine, write_transaction
from outbox.store.url import shown_url
from outbox.worker import Mode

BODY = Path(__file__).parents[1] / "tests" / "data" / "bodies" / "subscription_purchase.json"
CHUNK = 1000

spawn = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Cost:
    """What a number of events cost one process."""

    events: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds

    @property
    def microseconds(self) -> float:
        """CPU per event."""
        return self.cpu_seconds / self.events * 1e6


class Sink(asyncio.Protocol):
    """One connection of a server that reads no more of a request than where it ends."""

    def __init__(self, count: Any) -> None:
        self._count = count
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        received = self._received + data
        while (end := _request_end(received)) is not None:
            received = received[end:]
            self._count.value += 1
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self._received = received


def _request_end(data: bytes) -> int | None:
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return None
    start = data[:head].lower().index(b"\r\ncontent-length:") + 17
    end = head + 4 + int(data[start : head + 4].split(b"\r", 1)[0])
    return end if len(data) >= end else None


def _serve(pipe: Pipe, count: Any) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Sink(count), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


@contextmanager
def sink() -> Iterator[tuple[str, Any]]:
    """Run the server in a process of its own; give its URL and its count of requests."""
    ours, theirs = spawn.Pipe()
    count = spawn.RawValue(c_longlong, 0)
    process = spawn.Process(target=_serve, args=(theirs, count), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/api/v1/event", count
    finally:
        process.terminate()
        process.join()


def measured(events: int, work: Callable[[], object]) -> Cost:
    """Do the work and say what it cost this process, all its threads included."""
    usage, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime - usage.ru_utime + after.ru_stime - usage.ru_stime
    return Cost(events, seconds, cpu)


def drain(settings: Settings, events: int) -> Cost:
    """Let a worker deliver what is there."""
    return measured(events, lambda: run_worker(settings, Mode.DRAIN))


def post(url: str, body: str, events: int, concurrency: int) -> Cost:
    """Make the same POSTs with the HTTP client alone."""
    keys = iter([str(uuid.uuid4()) for _ in range(events)])
    return measured(events, lambda: uvloop.run(_post_all(url, body, keys, concurrency)))


async def _post_all(url: str, body: str, keys: Iterator[str], concurrency: int) -> None:
    async with ClientBuilder().http1_only().no_proxy().pool_max_idle_per_host(concurrency).build() as client:
        await asyncio.gather(*(_post_some(client, url, body, keys) for _ in range(concurrency)))


async def _post_some(client: Client, url: str, body: str, keys: Iterator[str]) -> None:
    for key in keys:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        async with client.post(url).headers(headers).body_text(body).build_streamed():
            pass


@contextmanager
def outbox_in(database_url: str) -> Iterator[Callable[[int], None]]:
    """Create the outbox, give what fills it afresh, and remove it at the end."""
    engine = open_engine(database_url)
    if migrate.current(engine):
        msg = f"{shown_url(engine.url)} holds an outbox already"
        raise ConfigurationError(msg, hint="Name a database without one: this script removes its tables at the end.")
    body = json.loads(BODY.read_text(encoding="utf-8"))

    def fill(events: int) -> None:
        migrate.downgrade(engine, "base")
        migrate.upgrade(engine)
        for start in range(0, events, CHUNK):
            with engine.connect() as connection, write_transaction(connection).begin():
                enqueue_many(connection, itertools.repeat(body, min(CHUNK, events - start)))

    migrate.upgrade(engine)
    try:
        yield fill
    finally:
        migrate.downgrade(engine, "base")
        engine.dispose()


def alone(work: Callable[..., Cost], *arguments: object) -> Cost:
    """Do the work in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(work, *arguments).result()


def compare(database_url: str, events: int, concurrency: int, rounds: int) -> dict[str, list[Cost]]:
    """Alternate both for some rounds."""
    costs: dict[str, list[Cost]] = {"worker": [], "bare POSTs": []}
    body = json.dumps(json.loads(BODY.read_text(encoding="utf-8")), separators=(",", ":"))
    with sink() as (url, count), outbox_in(database_url) as fill:
        settings = Settings(database_url=database_url, endpoint=url, concurrency=concurrency)
        for done in range(rounds):
            fill(events)
            costs["worker"].append(alone(drain, settings, events))
            costs["bare POSTs"].append(alone(post, url, body, events, concurrency))
            if count.value != 2 * events * (done + 1):
                msg = f"{count.value} requests arrived, not {2 * events * (done + 1)}: the figures mean nothing"
                raise OutboxError(msg)
    return costs


def medians(costs: dict[str, list[Cost]]) -> dict[str, Any]:
    """The figures, by kind; `ratio` is how many times a bare POST's CPU an event costs."""
    found: dict[str, Any] = {
        kind: {
            "per_second": round(statistics.median(each.rate for each in rounds)),
            "cpu_us": round(statistics.median(each.microseconds for each in rounds), 1),
            "cpu_us_rounds": [round(each.microseconds, 1) for each in rounds],
        }
        for kind, rounds in costs.items()
    }
    found["ratio"] = round(found["worker"]["cpu_us"] / found["bare POSTs"]["cpu_us"], 2)
    return found


def show(found: dict[str, Any]) -> None:
    """Print a table."""
    print(f"{'':12}{'per second':>12}{'CPU µs each':>14}   rounds")
    for kind in ("worker", "bare POSTs"):
        row = found[kind]
        each = "  ".join(str(figure) for figure in row["cpu_us_rounds"])
        print(f"{kind:12}{row['per_second']:>12,}{row['cpu_us']:>14}   {each}")
    print(f"{'ratio':12}{'':12}{found['ratio']:>14}")


def main() -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description="Measure the worker's CPU per delivered event.")
    parser.add_argument("--database", metavar="URL", help="a database without an outbox (default: a temporary SQLite)")
    parser.add_argument("--events", type=int, default=50_000, metavar="N", help="in each round (default: 50,000)")
    parser.add_argument("--concurrency", type=int, default=64, metavar="N", help="POSTs in flight (default: 64)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of which the median counts (default: 3)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.database or f"sqlite:///{folder}/outbox.db"
        try:
            found = medians(compare(url, given.events, given.concurrency, given.rounds))
        except OutboxError as error:
            print(f"cpu_per_event: {error}", file=sys.stderr)
            return error.exit_code
    if given.json:
        print(json.dumps(found))
        return 0
    kind = url.partition(":")[0]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{given.events:,} events, {given.concurrency} in flight, {kind}, {python}, median of {given.rounds}\n")
    show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
