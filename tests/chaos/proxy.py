"""The network between one client and the database: it stalls, loses answers, or breaks, as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any

_COMMIT = b"COMMIT"
_RST = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on a port of its own and passes on what comes. Its verbs run on its event loop."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._links: set[_Link] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._awaits_commit: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        self._server.close()
        tasks = [each.task for each in self._links]
        await self.cut()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def ports(self) -> list[int]:
        """The local ports of its connections to the server: by these the server knows its client."""
        return [each.port for each in self._links]

    async def cut(self) -> None:
        """Break every connection, in both directions."""
        for each in list(self._links):
            each.cut()

    async def stall(self, seconds: float) -> None:
        """Pass nothing on for a while; no byte is lost."""
        self._flowing.clear()
        await asyncio.sleep(seconds)
        self._flowing.set()

    async def lose_answers(self, seconds: float) -> None:
        """Lose what the server says, for a while; then the connections break."""
        for each in self._links:
            each.is_mute = True
        await asyncio.sleep(seconds)
        await self.cut()

    async def lose_commit(self, patience: float) -> bool:
        """Lose the answer to the next COMMIT and break its connection; whether there was one in time."""
        self._awaits_commit = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(asyncio.shield(self._awaits_commit), patience)
        except TimeoutError:
            return False
        finally:
            self._awaits_commit = None
        return True

    async def flow(self) -> None:
        """Wait while the network stalls."""
        await self._flowing.wait()

    def asks_for(self, data: bytes) -> asyncio.Future[None] | None:
        """What to fulfil when the answer to these bytes has been lost; None where it should pass."""
        if self._awaits_commit is None or _COMMIT not in data:
            return None
        wish, self._awaits_commit = self._awaits_commit, None
        return wish

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer), upstream)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One client's connection, and ours to the server behind it."""

    def __init__(self, proxy: Proxy, client: _Stream, server: _Stream) -> None:
        self.is_mute = False
        self.port: int = server[1].get_extra_info("sockname")[1]
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self._proxy = proxy
        self._client = client
        self._server = server
        self._lost: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Pass on until one side closes."""
        pumps = [asyncio.create_task(self._ask()), asyncio.create_task(self._reply())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in pumps:
                each.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for _, writer in (self._client, self._server):
                writer.close()
            for _, writer in (self._client, self._server):
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    def cut(self) -> None:
        """Break it, with RST to both sides."""
        for _, writer in (self._client, self._server):
            peer: Any = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
            writer.transport.abort()

    async def _ask(self) -> None:
        while data := await _read(self._client[0]):
            await self._proxy.flow()
            self._lost = self._lost or self._proxy.asks_for(data)
            await _write(self._server[1], data)

    async def _reply(self) -> None:
        while data := await _read(self._server[0]):
            await self._proxy.flow()
            if self._lost is not None:
                if not self._lost.done():
                    self._lost.set_result(None)
                self.cut()
                return
            if not self.is_mute:
                await _write(self._client[1], data)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65_536)
    except OSError:
        return b""


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    with contextlib.suppress(OSError):
        await writer.drain()
