"""A descriptor that becomes readable when something has happened."""

from __future__ import annotations

import asyncio


class Lost(Exception):
    """Commits are not noticed any more. It may work again later."""


class NotThere(Exception):
    """Commits cannot be noticed here. With a message, where that may surprise."""


async def readable(descriptor: int) -> None:
    """Wait until there is something to read."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, tell)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
