"""The HTTP client alone, in a process of its own: what any outbox with this client can at most reach.

python -m bench.bare --sink URL --events 50000 --concurrency 64 --body FILE
"""

from __future__ import annotations

import argparse
import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import uvloop
from pyreqwest.client import Client, ClientBuilder

from bench.cost import measured


def main() -> None:
    """Read the command line, POST, print what it cost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sink", required=True)
    parser.add_argument("--body", type=Path, required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--concurrency", type=int, default=64)
    given = parser.parse_args()
    body, keys = given.body.read_text(encoding="utf-8"), [str(uuid.uuid4()) for _ in range(given.events)]

    def work() -> int:
        uvloop.run(_post_all(given.sink, body, iter(keys), given.concurrency))
        return len(keys)

    print(json.dumps(measured(work)))


async def _post_all(url: str, body: str, keys: Iterator[str], concurrency: int) -> None:
    async with ClientBuilder().http1_only().no_proxy().pool_max_idle_per_host(concurrency).build() as client:
        await asyncio.gather(*(_post_some(client, url, body, keys) for _ in range(concurrency)))


async def _post_some(client: Client, url: str, body: str, keys: Iterator[str]) -> None:
    for key in keys:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        async with client.post(url).headers(headers).body_text(body).build_streamed() as response:
            if response.status != 200:
                msg = f"answered {response.status}"
                raise RuntimeError(msg)


if __name__ == "__main__":
    main()
