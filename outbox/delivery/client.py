"""One try: a POST and what came of it. The only file that knows pyreqwest."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pyreqwest.client import Client as HttpClient
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import BuilderError, RequestError
from pyreqwest.response import Response

from outbox._version import __version__
from outbox.delivery.causes import TryFailed, explain
from outbox.delivery.destination import Request
from outbox.errors import ConfigurationError
from outbox.message import Delivered

logger = logging.getLogger("outbox.delivery")

READ_LIMIT: Final = 16 * 1024
"""Answers up to this size leave the connection open for the next POST. Beyond it the client may have read ahead
three times as much before we close: 64 KiB in all."""

IDLE: Final = timedelta(seconds=4)
"""A connection that was idle this long is not used again: Node's servers close at 5 s, and a POST that meets
the close is one of which nobody knows whether it was processed."""

EXCERPT: Final = 4096

_DELIVERED: Final = {status: Delivered(status) for status in range(200, 300)}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is not a 2xx."""

    status: int
    retry_after: str | None
    excerpt: bytes
    """How its body begins."""


class Client:
    """A pool of HTTP/1.1 connections that trusts nothing in the environment and follows no answer anywhere.

    `try_timeout` is the deadline of a whole try. Connecting (with DNS and TLS) gets the smaller part of it, so that
    a request that never left is told from an answer that never came. `roots` are certificate authorities to trust
    beside the system's, as PEM.
    """

    def __init__(self, *, concurrency: int, try_timeout: float, roots: bytes | None = None) -> None:
        self._try_timeout = try_timeout
        self._connect_timeout = min(5.0, try_timeout * 0.8)
        self._client = self._build(concurrency, roots)
        self._begin = self._client.post

    def _build(self, concurrency: int, roots: bytes | None) -> HttpClient:
        builder = (
            ClientBuilder()
            # Over one HTTP/2 connection the server's stream limit would cap what is in flight, and the
            # library would send again by itself on GOAWAY.
            .http1_only()
            .no_proxy()
            .follow_redirects(enable=False)
            .referer(enable=False)
            .gzip(enable=False)
            .brotli(enable=False)
            .zstd(enable=False)
            .deflate(enable=False)
            .user_agent(f"overcentric-outbox/{__version__}")
            .timeout(timedelta(seconds=self._try_timeout))
            .connect_timeout(timedelta(seconds=self._connect_timeout))
            .pool_max_idle_per_host(concurrency)
            .pool_idle_timeout(IDLE)
        )
        try:
            with _system_certificates():
                return (builder if roots is None else builder.add_root_certificate_pem(roots)).build()
        except BuilderError as error:
            msg = "the HTTP client found no certificate authorities to trust"
            hint = "Install the system's (on Debian and Alpine the package ca-certificates)."
            raise ConfigurationError(msg, hint=hint) from error

    def check(self, url: str) -> None:
        """Raise a `ConfigurationError` for a URL to which this client cannot send."""
        try:
            self._begin(url).build()
        except ValueError as error:
            msg = f"OUTBOX_ENDPOINT is not a URL: {error}"
            raise ConfigurationError(msg, hint="Check its host name.") from None

    async def post(self, request: Request) -> Delivered | Answer | TryFailed:
        """Make one try. Ends within the deadline, whatever the other side does."""
        url, headers, body = request
        try:
            async with (
                self._begin(url)
                .headers(headers)
                .body_text(body)
                .streamed_read_buffer_limit(READ_LIMIT)
                .build_streamed() as response
            ):
                delivered = _DELIVERED.get(response.status)
                return await _answer(response) if delivered is None else delivered
        except RequestError as error:
            causes = [cause["message"] for cause in error.details["causes"] or ()]
            return explain(causes, url, connect_timeout=self._connect_timeout, try_timeout=self._try_timeout)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()


async def _answer(response: Response) -> Answer:
    excerpt = await response.body_reader.read(EXCERPT)
    return Answer(response.status, _retry_after(response), b"" if excerpt is None else bytes(excerpt))


def _retry_after(response: Response) -> str | None:
    try:
        return response.get_header("retry-after")
    except ValueError:  # bytes beyond ASCII: the header is there, and says nothing
        return ""


@contextmanager
def _system_certificates() -> Iterator[None]:
    """Hide the variables that would replace the system's certificate authorities while a client is built.

    The TLS library reads them once, when the client is built (pyreqwest 0.15.1, tested), and would trust what they
    name instead of the system's store without a word.
    """
    hidden = {name: os.environ.pop(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
    if hidden:
        logger.info("not heeding %s: the system's certificate authorities are trusted", " and ".join(hidden))
    try:
        yield
    finally:
        os.environ.update(hidden)
