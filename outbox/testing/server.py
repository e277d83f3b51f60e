"""The fake destination in an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Self

from outbox.errors import OutboxError
from outbox.testing.grammar import parse
from outbox.testing.protocol import Connection
from outbox.testing.record import Journal, Received
from outbox.testing.request import Request
from outbox.testing.script import Answerer, Script
from outbox.testing.service import Service
from outbox.testing.steps import Step

PATH = "/api/v1/event"


class FakeServer:
    """A loopback Event API: it validates, misbehaves as scripted, and remembers what arrived.

    `script` is text in the script language (`outbox.testing.grammar`), a `Script`, or a function from `Request` to
    `Step` or None. `port` 0 takes any free one, and keeps it over `pause` and `resume`. `path` None takes events at
    every path. `seed` makes scripts with chances repeatable. `keep` bounds how many records stay in memory (0: counts
    only). `record` names a file to which each POST is appended, as a line of JSON, before it is answered.
    `tls` makes it speak https.

    Raises `ConfigurationError` for a script that cannot be read, `OutboxError` for a port or file that cannot be used.
    """

    def __init__(
        self,
        script: str | Script | Answerer = "",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str | None = PATH,
        seed: int | None = None,
        keep: int | None = None,
        record: str | os.PathLike[str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.connections: set[Connection] = set()
        self.failure: OutboxError | None = None
        """Why a POST could not be recorded, and was therefore not answered."""
        self.on_received: Callable[[Received], None] = _ignore
        """Called with each record, in the server's loop."""
        self.on_failure: Callable[[], None] = _nothing
        self._seed = seed
        self._tls = tls
        self._journal = Journal(keep=keep, path=record)
        self._service = Service(self._journal, self._read(script), path, self._notice)
        self._listening: asyncio.Server | None = None
        self._reserved: socket.socket | None = None
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    # -- what arrived

    @property
    def url(self) -> str:
        """The endpoint to configure: `OUTBOX_ENDPOINT`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{self._service.path or PATH}"

    @property
    def received(self) -> tuple[Received, ...]:
        """The records in memory, oldest first: each POST, to whatever path."""
        return tuple(self._journal.received)

    @property
    def count(self) -> int:
        """How many POSTs arrived."""
        return self._journal.count

    @property
    def keys(self) -> Counter[str]:
        """How many POSTs arrived with each idempotency key."""
        return self._journal.keys.copy()

    @property
    def accepted(self) -> Counter[str]:
        """How many POSTs of each idempotency key were answered with a whole 2xx. Above 1: counted twice."""
        return self._journal.accepted.copy()

    @property
    def answers(self) -> Counter[str]:
        """How many POSTs got each answer: a status, or the name of a misbehaviour."""
        return self._journal.answers.copy()

    @property
    def changed(self) -> frozenset[str]:
        """Idempotency keys that arrived with different bytes."""
        return frozenset(self._journal.changed)

    def clear(self) -> None:
        """Forget what arrived. The script, the file and the sequence numbers go on."""
        self._journal.clear()

    async def wait_for(self, what: int | Callable[[FakeServer], object], timeout: float = 10.0) -> None:  # noqa: ASYNC109 - a deadline with its own message
        """Wait until so many POSTs have arrived, or until a condition on the server holds.

        Conditions are looked at after each POST. Raises `TimeoutError` after `timeout` seconds, or the `failure`.
        """
        condition = self._condition(what)
        if condition():
            return
        if self.failure is not None:
            raise self.failure
        waiter = (condition, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await asyncio.wait_for(waiter[1], timeout)
        except TimeoutError:
            expected = (
                f"{self.count} of {what} POSTs arrived" if isinstance(what, int) else "the condition did not hold"
            )
            msg = f"{expected} within {timeout:g} s (answers so far: {dict(self.answers)})"
            raise TimeoutError(msg) from None
        finally:
            self._waiters.remove(waiter)

    def _condition(self, what: int | Callable[[FakeServer], object]) -> Callable[[], bool]:
        if callable(what):
            return lambda: bool(what(self))
        return lambda: self.count >= what

    # -- what it does

    @property
    def script(self) -> Script | Answerer:
        """The script at work. Set it (also as text) to change the behaviour from the next request on."""
        return self._service.script

    @script.setter
    def script(self, script: str | Script | Answerer) -> None:
        self._service.script = self._read(script)

    async def start(self) -> None:
        """Begin to listen. Raises `OutboxError` if the port or the record file cannot be used."""
        self._journal.open()
        try:
            self._reserved = await _bind(self.host, self.port)
            self.port = self._reserved.getsockname()[1]
            await self.resume()
        except BaseException:
            await self.stop()
            raise

    async def resume(self) -> None:
        """Listen again, on the same port."""
        if self._reserved is not None:
            reserved, self._reserved = self._reserved, None
            loop = asyncio.get_running_loop()
            try:
                self._listening = await loop.create_server(
                    lambda: Connection(self), sock=reserved, ssl=self._tls, backlog=1024
                )
            except OSError as error:
                reserved.close()
                raise _cannot_listen(self.host, self.port, error) from error

    async def pause(self) -> None:
        """Go down: refuse new connections and reset those there are. The port stays ours."""
        if self._listening is not None:
            await self._hang_up()
            self._reserved = await _bind(self.host, self.port, patience=5.0)

    async def stop(self) -> None:
        """End: close everything."""
        await self._hang_up()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None
        self._journal.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # -- what connections ask

    def early(self, request: Request) -> Step | None:
        """See `Service.early`."""
        return self._service.early(request)

    def handle(self, request: Request) -> tuple[Step, float]:
        """See `Service.handle`."""
        return self._service.handle(request)

    def fail(self, error: OutboxError) -> None:
        """Remember that a POST could not be recorded."""
        self.failure = error
        for _, future in self._waiters:
            if not future.done():
                future.set_exception(error)
        self.on_failure()

    def _notice(self, received: Received) -> None:
        self.on_received(received)
        for condition, future in self._waiters:
            if not future.done():
                _settle(condition, future)

    def _read(self, script: str | Script | Answerer) -> Script | Answerer:
        return parse(script, seed=self._seed) if isinstance(script, str) else script

    async def _hang_up(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()
        while self.connections:
            for connection in tuple(self.connections):
                connection.abort()
            await asyncio.sleep(0)
        if listening is not None:
            await listening.wait_closed()


def _settle(condition: Callable[[], bool], future: asyncio.Future[None]) -> None:
    try:
        if condition():
            future.set_result(None)
    except Exception as error:  # noqa: BLE001 - the waiter's own mistake, told to the waiter
        future.set_exception(error)


async def _bind(host: str, port: int, *, patience: float = 0.0) -> socket.socket:
    """A socket that has the port and does not listen yet: connections to it are refused."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            with contextlib.ExitStack() as undo:
                bound = undo.enter_context(socket.socket(family, kind, protocol))
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                bound.bind(address)
                bound.setblocking(False)
                undo.pop_all()
                return bound
        except OSError as error:
            if loop.time() >= deadline:
                raise _cannot_listen(host, port, error) from error
        await asyncio.sleep(0.001)


def _cannot_listen(host: str, port: int, error: OSError) -> OutboxError:
    msg = f"cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}"
    return OutboxError(msg, hint="Choose another port, or 0 for any that is free.")


def _ignore(_received: Received) -> None:
    pass


def _nothing() -> None:
    pass
