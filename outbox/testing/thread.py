"""The fake destination for tests without an event loop: the same server, on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ParamSpec, TypeVar

from outbox.errors import OutboxError
from outbox.testing.record import Received
from outbox.testing.script import Answerer, Script
from outbox.testing.server import FakeServer

P = ParamSpec("P")
T = TypeVar("T")


class ThreadedFakeServer:
    """`FakeServer` for callers of any thread. Whatever is read is a copy, taken between two requests."""

    def __init__(self, server: FakeServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self.url = server.url
        self.host = server.host
        self.port = server.port

    @property
    def received(self) -> tuple[Received, ...]:
        """See `FakeServer.received`."""
        return self._look(lambda: self._server.received)

    @property
    def count(self) -> int:
        """See `FakeServer.count`."""
        return self._look(lambda: self._server.count)

    @property
    def keys(self) -> Counter[str]:
        """See `FakeServer.keys`."""
        return self._look(lambda: self._server.keys)

    @property
    def accepted(self) -> Counter[str]:
        """See `FakeServer.accepted`."""
        return self._look(lambda: self._server.accepted)

    @property
    def answers(self) -> Counter[str]:
        """See `FakeServer.answers`."""
        return self._look(lambda: self._server.answers)

    @property
    def changed(self) -> frozenset[str]:
        """See `FakeServer.changed`."""
        return self._look(lambda: self._server.changed)

    @property
    def failure(self) -> OutboxError | None:
        """See `FakeServer.failure`."""
        return self._look(lambda: self._server.failure)

    @property
    def script(self) -> Script | Answerer:
        """See `FakeServer.script`."""
        return self._look(lambda: self._server.script)

    @script.setter
    def script(self, script: str | Script | Answerer) -> None:
        self._look(lambda: setattr(self._server, "script", script))

    def clear(self) -> None:
        """See `FakeServer.clear`."""
        self._look(self._server.clear)

    def wait_for(self, what: int | Callable[[FakeServer], object], timeout: float = 10.0) -> None:
        """See `FakeServer.wait_for`. A condition is called in the server's thread, with the server itself."""
        self._run(self._server.wait_for(what, timeout))

    def pause(self) -> None:
        """See `FakeServer.pause`."""
        self._run(self._server.pause())

    def resume(self) -> None:
        """See `FakeServer.resume`."""
        self._run(self._server.resume())

    def _look(self, look: Callable[[], T]) -> T:
        async def run() -> T:
            return look()

        return self._run(run())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _threaded(make: Callable[P, FakeServer]) -> Callable[P, AbstractContextManager[ThreadedFakeServer]]:
    """The same arguments, typed, without writing them down twice."""

    @contextmanager
    def fake_server(*args: P.args, **kwargs: P.kwargs) -> Iterator[ThreadedFakeServer]:
        """Run a `FakeServer` with these arguments on a thread of its own, until the block ends."""
        server = make(*args, **kwargs)
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            runner.run(server.start())
            thread = threading.Thread(target=loop.run_forever, name="outbox-fake-server", daemon=True)
            thread.start()
            try:
                yield ThreadedFakeServer(server, loop)
            finally:
                asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
                loop.call_soon_threadsafe(loop.stop)
                thread.join()

    return fake_server


fake_server = _threaded(FakeServer)
