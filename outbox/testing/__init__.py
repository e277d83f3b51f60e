"""A fake destination for tests: a loopback Event API that validates, misbehaves as told, and remembers.

::

    from outbox.testing import fake_server

    @pytest.fixture
    def destination():
        with fake_server() as server:
            yield server

    def test_an_outage_is_survived(destination, worker):
        destination.script = "per-key: 503 x2, ok"
        ...                                       # enqueue, let a worker run against destination.url
        destination.wait_for(lambda server: server.answers["200"] == 1)
        assert [one.answer for one in destination.received] == ["503", "503", "200"]

`async with FakeServer(...) as server` is the same inside an event loop. `outbox fake-server` runs it as a command.
The script language is described in `outbox.testing.grammar`.
"""

from __future__ import annotations

from outbox.testing.grammar import parse
from outbox.testing.record import Received, read_record
from outbox.testing.request import Request
from outbox.testing.script import Chances, Rule, Script, Turns
from outbox.testing.server import PATH, FakeServer
from outbox.testing.steps import Action, Step
from outbox.testing.thread import ThreadedFakeServer, fake_server
from outbox.testing.validate import Problem

__all__ = [
    "PATH",
    "Action",
    "Chances",
    "FakeServer",
    "Problem",
    "Received",
    "Request",
    "Rule",
    "Script",
    "Step",
    "ThreadedFakeServer",
    "Turns",
    "fake_server",
    "parse",
    "read_record",
]
