"""A small HTTP server on threads of its own: it answers also when the event loop does not."""

from __future__ import annotations

import contextlib
import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from outbox.errors import ConfigurationError

logger = logging.getLogger("outbox.worker")

_MOST = 8
"""Requests at once; whoever comes beyond that is sent away."""

_PATIENCE_SECONDS = 5.0
"""How long a client may take to say what it wants."""

Check = Callable[[], str | None]
"""Gives what is wrong, or None."""


def routes(metrics: WSGIApplication, checks: dict[str, Check]) -> WSGIApplication:
    """Answer `/metrics`, and each check by its path: 200, or 503 with the reason."""

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return _say(start, "405 Method Not Allowed", "GET, please")
        if path == "/metrics":
            return metrics(environ, start)
        if path not in checks:
            return _say(start, "404 Not Found", f"there are /metrics, {', '.join(checks)}")
        trouble = checks[path]()
        return _say(start, "200 OK", "ok") if trouble is None else _say(start, "503 Service Unavailable", trouble)

    return answer


def _say(start: StartResponse, status: str, text: str) -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")])
    return [f"{text}\n".encode()]


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """Serves the application from its making until `close`. Raises `ConfigurationError` where it cannot listen."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, application: WSGIApplication) -> None:
        self._places = threading.BoundedSemaphore(_MOST)
        self._closing = threading.Event()
        try:
            self.address_family, *_, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            super().__init__(address[:2], _Handler)  # type: ignore[arg-type] # of the two-part form for both families
        except OSError as error:
            msg = f"OUTBOX_METRICS_HOST and OUTBOX_METRICS_PORT: cannot listen at {host} port {port}: {error.strerror}"
            hint = "Choose another port: each worker on a machine needs its own."
            raise ConfigurationError(msg, hint=hint) from error
        self.set_app(application)
        self._serving = threading.Thread(target=self._serve, name="outbox-metrics", daemon=True)
        self._serving.start()

    @property
    def url(self) -> str:
        """Where it answers."""
        host, port = self.server_address[:2]
        shown = f"[{host!s}]" if self.address_family == socket.AF_INET6 else str(host)
        return f"http://{shown}:{port}"

    def close(self) -> None:
        """Answer nothing any more."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for a client
        self._serving.join(1.0)
        self.server_close()

    def _serve(self) -> None:
        # Not `serve_forever`, which looks twice a second whether it should end: an idle worker would never rest.
        while not self._closing.is_set():
            self.handle_request()

    def server_bind(self) -> None:
        """Bind, without the look at the name service that the library takes for a name nobody needs."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer on a thread, if one is free."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and free the thread's place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away."""
        logger.debug("a request for metrics was broken off")


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE_SECONDS
    server_version = "outbox"
    sys_version = ""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep the log for what happens to messages."""
