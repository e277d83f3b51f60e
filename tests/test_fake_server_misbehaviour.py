from __future__ import annotations

import http.client
import itertools
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest

from outbox.testing import Action, Request, Step, ThreadedFakeServer, fake_server
from support.raw_http import client, post, raw, read_all, read_until, request_bytes, send
from support.waiting import eventually


@pytest.fixture
def server() -> Iterator[ThreadedFakeServer]:
    with fake_server() as running:
        yield running


def test_statuses_are_answered_whatever_the_body(server: ThreadedFakeServer) -> None:
    """A scripted status needs no valid body, keeps the connection, and is recorded; then ok validates again."""
    server.script = "503 x2, 202 x1"
    with client(server.url) as connection:
        statuses = [send(connection, server.url, b"not json").status for _ in range(4)]
    assert statuses == [503, 503, 202, 400]
    assert [one.answer for one in server.received] == ["503", "503", "202", "400"]
    assert [one.accepted for one in server.received] == [False, False, True, False]


def test_retry_after_is_sent_in_both_forms(server: ThreadedFakeServer) -> None:
    """A number as it is written, even a senseless one, and a date that far in the future."""
    server.script = "429 retry-after=30, 429 retry-after=-1, 503 retry-after-date=1h"
    assert post(server.url).headers["retry-after"] == "30"
    assert post(server.url).headers["retry-after"] == "-1"
    date = parsedate_to_datetime(post(server.url).headers["retry-after"])
    assert abs(date.timestamp() - time.time() - 3600) < 60


def test_redirects_name_their_target_and_empty_statuses_have_no_body(server: ThreadedFakeServer) -> None:
    """302 carries Location; 204 carries neither a body nor a length."""
    server.script = "302 location=http://127.0.0.1:1/elsewhere, 204"
    assert post(server.url).headers["location"] == "http://127.0.0.1:1/elsewhere"
    empty = post(server.url)
    assert (empty.status, empty.body) == (204, b"")
    assert "content-length" not in empty.headers


def test_a_large_answer_has_the_size_asked_for(server: ThreadedFakeServer) -> None:
    """`size=` makes the answer's body that long."""
    server.script = "500 size=3MiB"
    assert len(post(server.url).body) == 3 * 1024 * 1024


def test_a_delayed_answer_comes_late_but_is_recorded_at_once(server: ThreadedFakeServer) -> None:
    """`delay=` holds back the answer, not the record."""
    server.script = "delay=300ms"
    began = time.monotonic()
    with client(server.url) as connection:
        assert send(connection, server.url).status == 200
    assert time.monotonic() - began >= 0.29
    assert server.received[0].monotonic - began < 0.29


def test_delays_of_different_connections_run_side_by_side(server: ThreadedFakeServer) -> None:
    """Ten answers delayed by 200 ms each take about 200 ms."""
    server.script = "delay=200ms"
    began = time.monotonic()
    with raw(server.url) as a, raw(server.url) as b, raw(server.url) as c:
        for connection in (a, b, c):
            connection.sendall(request_bytes())
        for connection in (a, b, c):
            read_until(connection, b'{"ok": true}')
    assert time.monotonic() - began < 0.5


def test_reset_reads_the_request_then_resets(server: ThreadedFakeServer) -> None:
    """`reset` is a TCP reset after the body has arrived."""
    server.script = "reset"
    with raw(server.url) as connection:
        connection.sendall(request_bytes())
        with pytest.raises(ConnectionResetError):
            read_all(connection)
    [received] = server.received
    assert (received.answer, received.accepted, received.name) == ("reset", False, "invoice_email_sent")


def test_reset_early_does_not_wait_for_the_body(server: ThreadedFakeServer) -> None:
    """`reset-early` resets once the headers are in; the rest of its rule goes on as usual."""
    server.script = "per-key: reset-early, 503, ok"
    with raw(server.url) as connection:
        connection.sendall(request_bytes().partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            read_all(connection)
    assert post(server.url, key="k").status == 503
    assert post(server.url, key="k").status == 200
    assert post(server.url, b"{}", key="k").status == 400
    assert [(one.answer, one.name) for one in server.received] == [
        ("reset-early", None),
        ("503", "invoice_email_sent"),
        ("200", "invoice_email_sent"),
        ("400", None),
    ]
    assert server.received[0].body == b""


def test_reset_mid_sends_half_an_answer(server: ThreadedFakeServer) -> None:
    """`reset-mid` sends the head and half of the body, then resets."""
    server.script = "reset-mid"
    with raw(server.url) as connection:
        connection.sendall(request_bytes())
        half = read_until(connection, b'\r\n\r\n{"ok":')
        assert half.startswith(b"HTTP/1.1 200 OK\r\n")
        with pytest.raises(ConnectionResetError):
            read_all(connection)
    assert server.accepted == {}


def test_close_mid_ends_before_its_length(server: ThreadedFakeServer) -> None:
    """`close-mid` closes in good order, but short of its Content-Length."""
    server.script = "close-mid"
    with pytest.raises(http.client.IncompleteRead):
        post(server.url)


def test_close_ends_without_an_answer(server: ThreadedFakeServer) -> None:
    """`close` reads the request and says nothing."""
    server.script = "close"
    with raw(server.url) as connection:
        connection.sendall(request_bytes())
        assert read_all(connection) == b""
    assert server.answers == {"close": 1}


def test_hang_never_answers_and_lets_go_of_a_client_that_left(server: ThreadedFakeServer) -> None:
    """`hang` keeps the connection open without a word, until the client closes it."""
    server.script = "hang x1, ok"
    with raw(server.url, timeout=0.3) as connection:
        connection.sendall(request_bytes())
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert len(server._server.connections) == 1
    eventually(lambda: not server._server.connections)
    assert post(server.url).status == 200


def test_garbage_is_not_http(server: ThreadedFakeServer) -> None:
    """`garbage` answers with bytes that no client can read."""
    server.script = "garbage"
    with pytest.raises(http.client.BadStatusLine):
        post(server.url)


def test_trickle_sends_a_byte_at_a_time(server: ThreadedFakeServer) -> None:
    """`trickle` sends a whole, valid answer, in single bytes, and keeps the connection."""
    server.script = "trickle every=1ms x1, ok"
    with raw(server.url) as connection:
        connection.sendall(request_bytes())
        assert connection.recv(65536) == b"H"
        read_until(connection, b'{"ok": true}')
        connection.sendall(request_bytes())
        read_until(connection, b'{"ok": true}')


@pytest.mark.parametrize(
    ("action", "begins", "repeats"),
    [
        ("endless-headers", b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n"),
        ("endless-body", b"HTTP/1.1 200 OK\r\n", b"1\r\nx\r\n"),
        ("endless-1xx", b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n"),
    ],
)
def test_endless_answers_go_on(server: ThreadedFakeServer, action: str, begins: bytes, repeats: bytes) -> None:
    """The endless answers begin well and repeat one piece for as long as the client stays."""
    server.script = f"{action} every=1ms"
    with raw(server.url) as connection:
        connection.sendall(request_bytes())
        assert read_until(connection, repeats * 20).startswith(begins)
    eventually(lambda: not server._server.connections)


def test_each_key_can_be_refused_twice(server: ThreadedFakeServer) -> None:
    """The first two tries of each key get 503, then it is accepted; no key is accepted twice."""
    server.script = "per-key: 503 x2, ok"
    for _ in range(3):
        for key in "abc":
            post(server.url, key=key)
    assert server.keys == {"a": 3, "b": 3, "c": 3}
    assert server.accepted == {"a": 1, "b": 1, "c": 1}
    assert server.answers == {"503": 6, "200": 3}


def test_a_script_can_be_a_function(server: ThreadedFakeServer) -> None:
    """A function sees the whole request; None means ok."""
    turns = itertools.count()

    def script(request: Request) -> Step | None:
        assert request.name == "invoice_email_sent"
        return Step(Action.STATUS, 418, delay=(0.01, 0.01)) if next(turns) == 0 else None

    server.script = script
    assert [post(server.url).status for _ in range(2)] == [418, 200]
