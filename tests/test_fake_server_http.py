from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from outbox.testing import ThreadedFakeServer, fake_server
from outbox.testing.protocol import MAX_BODY, MAX_HEAD
from support.raw_http import MINIMAL, client, post, raw, read_all, read_until, request_bytes, send


@pytest.fixture
def server() -> Iterator[ThreadedFakeServer]:
    with fake_server() as running:
        yield running


def _ask(server: ThreadedFakeServer, request: bytes) -> bytes:
    with raw(server.url) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def test_a_connection_serves_many_requests(server: ThreadedFakeServer) -> None:
    """Keep-alive: a hundred requests on one connection."""
    with client(server.url) as connection:
        for number in range(100):
            assert send(connection, server.url, key=str(number)).status == 200
        assert len(server._server.connections) == 1
    assert server.count == 100


@pytest.mark.parametrize("script", ["", "delay=5ms", "trickle every=1ms x1, ok"])
def test_pipelined_requests_are_answered_in_order(server: ThreadedFakeServer, script: str) -> None:
    """Requests sent without waiting are answered one after the other, more of them than may queue up."""
    server.script = script
    wanted = b"".join(request_bytes(MINIMAL if i % 2 else b"{}", key=str(i)) for i in range(100))
    answers = _ask(server, wanted)
    statuses = [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]
    expected = [200 if i % 2 else 400 for i in range(100)]
    if script.startswith("trickle"):
        expected[0] = 200
    assert statuses == expected
    assert [one.key for one in server.received] == [str(i) for i in range(100)]


def test_a_request_may_arrive_byte_by_byte(server: ThreadedFakeServer) -> None:
    """Boundaries of packets mean nothing."""
    with raw(server.url) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(request := request_bytes())):
            connection.sendall(request[i : i + 1])
        read_until(connection, b'{"ok": true}')
    assert server.received[0].body == MINIMAL


def test_chunked_bodies_are_put_together(server: ThreadedFakeServer) -> None:
    """A body in chunks, with a trailer, is recorded as one."""
    head = b"POST /api/v1/event HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (MINIMAL[:7], MINIMAL[7:]))
    answer = _ask(server, head + chunks + b"0\r\nX-Trailer: late\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert server.received[0].body == MINIMAL
    assert "x-trailer" not in server.received[0].headers


def test_a_client_that_expects_100_is_told_to_continue(server: ThreadedFakeServer) -> None:
    """`Expect: 100-continue` is answered before the body is sent."""
    request = request_bytes(extra="Expect: 100-continue\r\n")
    head, _, body = request.partition(b"\r\n\r\n")
    with raw(server.url) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert read_until(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert read_until(connection, b'{"ok": true}').startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_100_waits_for_the_answer_before_it(server: ThreadedFakeServer) -> None:
    """An interim answer does not overtake the answer to an earlier request."""
    server.script = "503 delay=50ms x1, ok"
    head, _, body = request_bytes(extra="Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    with raw(server.url) as connection:
        connection.sendall(request_bytes() + head + b"\r\n\r\n")
        first = read_until(connection, b"100 Continue\r\n\r\n")
        assert first.index(b"503 Service Unavailable") < first.index(b"100 Continue")
        connection.sendall(body)
        read_until(connection, b'{"ok": true}')


def test_connection_close_is_honoured(server: ThreadedFakeServer) -> None:
    """A client that asks for it gets its answer and the end of the connection."""
    with raw(server.url) as connection:
        connection.sendall(request_bytes(extra="Connection: close\r\n"))
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in answer


@pytest.mark.parametrize("extra", ["", "Connection: close\r\n"])
def test_a_client_that_closed_its_half_gets_its_late_answer(server: ThreadedFakeServer, extra: str) -> None:
    """The end of what the client sends is not the end of what it may read."""
    server.script = "201 delay=50ms"
    assert _ask(server, request_bytes(extra=extra)).startswith(b"HTTP/1.1 201 Created\r\n")


def test_http_1_0_is_answered_and_closed(server: ThreadedFakeServer) -> None:
    """HTTP/1.0 has no keep-alive unless it asks, and needs no Host."""
    body = b"POST /api/v1/event HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(MINIMAL)
    with raw(server.url) as connection:
        connection.sendall(body + MINIMAL)
        assert read_all(connection).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("request_line", "status", "header"),
    [
        ("GET /api/v1/event", 405, b"\r\nAllow: POST\r\n"),
        ("PUT /api/v1/event", 405, b"\r\nAllow: POST\r\n"),
        ("POST /api/v2/event", 404, b""),
        ("GET /", 404, b""),
        ("GET /health", 200, b""),
        ("GET /health?verbose=1", 200, b""),
        ("POST /health", 405, b"\r\nAllow: GET, HEAD\r\n"),
    ],
)
def test_paths_and_methods(server: ThreadedFakeServer, request_line: str, status: int, header: bytes) -> None:
    """Only POST on the documented path takes events; /health answers; the script is not asked about the rest."""
    server.script = "503"
    answer = _ask(server, f"{request_line} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert header in answer
    assert server.count == (1 if request_line.startswith("POST") else 0)


def test_head_has_no_body(server: ThreadedFakeServer) -> None:
    """HEAD is answered by headers alone."""
    answer = _ask(server, b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"Content-Length: 12\r\n\r\n")


def test_the_query_and_the_absolute_form_change_nothing(server: ThreadedFakeServer) -> None:
    """A target is the same path with a query, or with the host before it."""
    for target in ("/api/v1/event?a=b", "http://localhost/api/v1/event"):
        request = request_bytes(key=target).replace(b"/api/v1/event", target.encode(), 1)
        assert _ask(server, request).startswith(b"HTTP/1.1 200 OK\r\n")
        assert server.received[-1].path == target


def test_any_path_takes_events_when_told_so() -> None:
    """`path=None` accepts events everywhere; `path=` moves them."""
    with fake_server(path=None) as server:
        assert post(server.url.replace("/api/v1/event", "/elsewhere")).status == 200
    with fake_server(path="/hook") as server:
        assert server.url.endswith("/hook")
        assert post(server.url).status == 200
        assert post(server.url.replace("/hook", "/api/v1/event")).status == 404


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"this is not http\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"POST /api/v1/event HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST /api/v1/event HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
        (b"POST /api/v1/event HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0", 400),
        (b"POST /api/v1/event HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /api/v1/event HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 501),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"POST /api/v1/event HTTP/1.1\r\nHost: x\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n", 431),
        (b"POST /api/v1/event HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20 * MAX_HEAD, 431),
        (b"POST /" + b"x" * MAX_HEAD + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"POST /api/v1/event HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413),
    ],
)
def test_what_breaks_http_or_its_limits_is_refused(server: ThreadedFakeServer, request_: bytes, status: int) -> None:
    """One answer says why, and the connection ends."""
    answer = _ask(server, request_)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer
    assert post(server.url).status == 200


def test_a_client_that_is_still_sending_can_read_that_its_body_is_too_large(server: ThreadedFakeServer) -> None:
    """413 arrives although megabytes of the chunked body are still on their way."""
    head = b"POST /api/v1/event HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with raw(server.url) as connection:
        connection.sendall(head + chunk * (MAX_BODY // 0x100000 + 4))
        assert read_all(connection).startswith(b"HTTP/1.1 413 ")
    assert server.answers == {"413": 1}


def test_a_request_that_never_became_whole_is_not_recorded(server: ThreadedFakeServer) -> None:
    """Half a body is no event."""
    _ask(server, request_bytes()[:-5])
    assert server.count == 0
