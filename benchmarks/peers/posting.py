"""POSTs with the client that a peer's users would take, or with ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Post = Callable[[bytes], Awaitable[None]]

_HEADERS = {"Content-Type": "application/json"}


@asynccontextmanager
async def posting(client: str, url: str, in_flight: int) -> AsyncIterator[Post]:
    """Give what makes one POST and raises unless it is answered 200."""
    opened = {"aiohttp": _aiohttp, "pyreqwest": _pyreqwest}[client]
    async with opened(url, in_flight) as post:
        yield post


@asynccontextmanager
async def _aiohttp(url: str, in_flight: int) -> AsyncIterator[Post]:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:

        async def post(body: bytes) -> None:
            async with session.post(url, data=body, headers=_HEADERS) as response:
                _check(response.status)

        yield post


@asynccontextmanager
async def _pyreqwest(url: str, in_flight: int) -> AsyncIterator[Post]:
    from pyreqwest.client import ClientBuilder

    builder = ClientBuilder().http1_only().no_proxy().max_connections(in_flight)
    async with builder.build() as client:

        async def post(body: bytes) -> None:
            async with client.post(url).headers(_HEADERS).body_bytes(body).build_streamed() as response:
                _check(response.status)

        yield post


def _check(status: int) -> None:
    if status != 200:
        msg = f"answered {status}"
        raise RuntimeError(msg)
