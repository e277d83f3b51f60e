from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import trustme
import uvloop

from outbox.errors import ConfigurationError, OutboxError
from outbox.testing import FakeServer, Request, Step, fake_server
from support.raw_http import JSON, MINIMAL, client, post, raw, request_bytes, send

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_it_runs_inside_an_event_loop(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """`async with FakeServer()` serves from the caller's own loop, goes down, and comes back on the same port."""

    async def story() -> None:
        async with FakeServer("per-key: 503 x1, ok") as server:
            port = server.port
            first = await asyncio.to_thread(post, server.url, key="a")
            await server.pause()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.to_thread(post, server.url)
            await server.resume()
            second = await asyncio.to_thread(post, server.url, key="a")
            assert (first.status, second.status, server.port) == (503, 200, port)
            assert [one.body for one in server.received] == [MINIMAL] * 2
        with pytest.raises(ConnectionRefusedError):
            await asyncio.to_thread(post, server.url)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(story())


def test_a_pause_resets_connections_and_refuses_new_ones() -> None:
    """Down means down: what is open is reset, what is new is refused, and nobody else gets the port."""
    with fake_server("hang x1, ok") as server, raw(server.url) as hanging, client(server.url) as idle:
        hanging.sendall(request_bytes())
        server.wait_for(1)
        send(idle, server.url)
        server.pause()
        with pytest.raises(ConnectionResetError):
            hanging.recv(1)
        with pytest.raises(ConnectionRefusedError), raw(server.url):
            pass
        with pytest.raises(OSError, match="in use"), socket.socket() as other:
            other.bind((server.host, server.port))
        server.pause()
        server.resume()
        server.resume()
        assert post(server.url).status == 200
        assert server.count == 3


def test_many_outages_in_a_row() -> None:
    """Down and up fifty times, on one port, under traffic."""
    with fake_server() as server:
        for _ in range(50):
            with client(server.url) as connection:
                assert send(connection, server.url).status == 200
                server.pause()
                server.resume()
        assert server.count == 50


def test_waiting_ends_when_enough_has_arrived() -> None:
    """`wait_for` returns at once when there is enough, and otherwise with the POST that makes it so."""
    with fake_server("503 x2, ok") as server:
        threads = [threading.Thread(target=post, args=(server.url,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        server.wait_for(lambda seen: seen.answers["200"] == 1)
        assert server.count == 3
        server.wait_for(3, timeout=0)
        for thread in threads:
            thread.join()


def test_waiting_in_vain_says_how_far_it_came() -> None:
    """The TimeoutError counts what did arrive."""
    with fake_server("503") as server:
        post(server.url)
        with pytest.raises(TimeoutError, match=r"1 of 2 POSTs arrived within 0.05 s \(answers so far: {'503': 1}\)"):
            server.wait_for(2, timeout=0.05)
        with pytest.raises(TimeoutError, match=r"the condition did not hold within 0\.05 s"):
            server.wait_for(lambda seen: seen.accepted, timeout=0.05)


def test_a_condition_that_fails_is_shown_to_the_waiter() -> None:
    """A mistake in the test's own condition surfaces in the test, not in the server."""
    with fake_server() as server:
        sender = threading.Timer(0.05, post, args=(server.url,))
        sender.start()
        with pytest.raises(ZeroDivisionError):
            server.wait_for(lambda seen: seen.count and 1 / 0)
        sender.join()
        assert server.count == 1


def test_clear_forgets_what_arrived_and_keeps_the_script() -> None:
    """Counts begin anew; the script goes on where it stands, and so do the sequence numbers."""
    with fake_server("503 x1, ok") as server:
        post(server.url, key="a")
        server.clear()
        assert (server.count, server.received, server.keys, server.answers) == (0, (), {}, {})
        assert post(server.url, key="a").status == 200
        assert [one.seq for one in server.received] == [2]


def test_a_wrong_script_is_refused_when_it_is_set() -> None:
    """At construction and in mid-run alike; what ran before goes on."""
    with pytest.raises(ConfigurationError, match="'nonsense' is no action"), fake_server("nonsense"):
        pass
    with fake_server("202") as server:
        with pytest.raises(ConfigurationError, match="'nonsense' is no action"):
            server.script = "nonsense"
        assert post(server.url).status == 202


def test_a_mistake_in_a_function_is_not_taken_for_the_clients(caplog: pytest.LogCaptureFixture) -> None:
    """A script function that raises ends the connection and is logged with its traceback; the server goes on."""

    def broken(request: Request) -> Step | None:
        return None if request.key else 1 / 0  # type: ignore[return-value]

    with fake_server(broken) as server:
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            post(server.url)
        assert "ZeroDivisionError" in caplog.text
        assert post(server.url, key="k").status == 200


def test_a_port_in_use_is_one_clear_error() -> None:
    """The error names host and port, and the next step."""
    with fake_server() as first:
        with pytest.raises(OutboxError) as caught, fake_server(port=first.port):
            pass
        assert str(caught.value) == (
            f"cannot listen on 127.0.0.1:{first.port}: address already in use. "
            "Choose another port, or 0 for any that is free."
        )


def test_it_speaks_tls() -> None:
    """With a context of ours the URL is https, and answers, resets and pauses work as without."""
    authority = trustme.CA()
    inside, outside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(inside)
    authority.configure_trust(outside)
    with fake_server("ok x1, reset", tls=inside) as server:
        assert server.url.startswith("https://127.0.0.1:")
        port = urlsplit(server.url).port
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=outside, timeout=10)
        connection.request("POST", "/api/v1/event", MINIMAL, JSON)
        with connection.getresponse() as response:
            assert json.loads(response.read()) == {"ok": True}
        connection.request("POST", "/api/v1/event", MINIMAL, JSON)
        with pytest.raises(ConnectionError):
            connection.getresponse()
        connection.close()
        server.pause()
        server.resume()
        assert server.answers == {"200": 1, "reset": 1}


def test_importing_it_brings_no_database_no_client_no_command_line() -> None:
    """`outbox.testing` adds no SQLAlchemy, pyreqwest, click or rich to what `import outbox` has."""
    program = (
        "import sys, outbox; before = set(sys.modules); import outbox.testing; "
        "print({name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    added = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    for name in ("sqlalchemy", "pyreqwest", "click", "rich", "tenacity", "uvloop", "pytest"):
        assert repr(name) not in added
