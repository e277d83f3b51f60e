"""One try: a POST and what came of it. The only file that knows pyreqwest."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from pyreqwest.client import Client as HttpClient
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import BuilderError, RequestError
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.response import Response

from outbox.delivery.causes import TryFailed, explain
from outbox.destinations import USER_AGENT, DestinationSettings, Request
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


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that does not deliver."""

    status: int
    retry_after: str | None
    excerpt: bytes
    """How its body begins."""


class Client:
    """A pool of HTTP/1.1 connections that trusts nothing in the environment and follows no answer anywhere.

    `try_timeout` is the deadline of a whole try. Connecting (with DNS, a proxy and TLS) gets the smaller part of it, so
    that a request that never left is told from an answer that never came. `delivered` holds the outcome for each status
    that delivers. Raises `ConfigurationError` for a proxy or a file of certificate authorities that cannot be used.
    """

    def __init__(self, settings: DestinationSettings, delivered: Mapping[int, Delivered]) -> None:
        self._delivered = delivered
        self._try_timeout = settings.try_timeout
        self._connect_timeout = min(5.0, settings.try_timeout * 0.8)
        self._proxy = settings.proxy
        self._client = self._build(settings)
        self._begin = self._client.post

    def _build(self, settings: DestinationSettings) -> HttpClient:
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
            .user_agent(USER_AGENT)
            .timeout(timedelta(seconds=self._try_timeout))
            .connect_timeout(timedelta(seconds=self._connect_timeout))
            .pool_max_idle_per_host(settings.concurrency)
            .pool_idle_timeout(IDLE)
        )
        if settings.proxy is not None:
            builder = builder.proxy(_proxy(settings.name, settings.proxy))
        if settings.ca_file is not None:
            builder = builder.add_root_certificate_pem(_authorities(settings.name, settings.ca_file))
        if sys.platform == "linux":
            # A request that the system's buffers do not hold keeps its connection and its body when the try is over, for as
            # long as the peer reads nothing. The library lets the system end that after 30 s (pyreqwest 0.15.1, tested).
            builder = builder.tcp_user_timeout(timedelta(seconds=self._try_timeout))
        try:
            with system_certificates():
                return builder.build()
        except BuilderError as error:
            if any("certificate" in cause["message"] for cause in error.details["causes"] or ()):
                raise _unusable_authorities(settings.name, settings.ca_file, "a certificate in it is broken") from None
            msg = "the HTTP client found no certificate authorities to trust"
            hint = "Install the system's (on Debian and Alpine the package ca-certificates)."
            raise ConfigurationError(msg, hint=hint) from error

    def check(self, url: str, variable: str) -> None:
        """Raise a `ConfigurationError` that names the variable for a URL to which this client cannot send."""
        try:
            self._begin(url).build()
        except ValueError as error:
            msg = f"{variable} is not a URL: {error}"
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
                delivered = self._delivered.get(response.status)
                return await _answer(response) if delivered is None else delivered
        except RequestError as error:
            causes = [cause["message"] for cause in error.details["causes"] or ()]
            limits = {"connect_timeout": self._connect_timeout, "try_timeout": self._try_timeout}
            return explain(causes, url, **limits, proxy=self._proxy)

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


def _proxy(name: str, url: str) -> ProxyBuilder:
    try:
        return ProxyBuilder.all(url)
    except ValueError as error:
        msg = f"the proxy of the destination {name} is not a URL: {error}"
        raise ConfigurationError(msg, hint="Check the host name in OUTBOX_PROXY, or in its own setting.") from None


def _authorities(name: str, path: str) -> bytes:
    try:
        found = Path(path).read_bytes()
    except OSError as error:
        raise _unusable_authorities(name, path, error.strerror or "it cannot be read") from error
    if b"-----BEGIN CERTIFICATE-----" not in found:
        raise _unusable_authorities(name, path, "it holds no certificate in PEM")
    return found


def _unusable_authorities(name: str, path: str | None, why: str) -> ConfigurationError:
    msg = f"the certificate authorities of the destination {name} cannot be read from {path}: {why}"
    return ConfigurationError(msg, hint="Check the file that OUTBOX_CA_FILE, or its own setting, names.")


@contextmanager
def system_certificates() -> Iterator[None]:
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
