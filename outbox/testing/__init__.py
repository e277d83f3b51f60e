"""For the tests of an application: what it has enqueued, a delivery of it, and a fake destination to deliver to.

::

    def test_an_order_tells_of_itself(engine, outbox_server):
        with Session(engine) as session:
            place_order(session, "user_1", "premium")
            assert_enqueued(session, "order_placed", properties={"plan": "premium"}, identity={"unique_identifier": "user_1"})
            session.commit()
        outbox_server.script = "per-key: 503 x2, ok"
        assert drain(engine, outbox_server) == Drained(delivered=1)
        assert [one.answer for one in outbox_server.received] == ["503", "503", "200"]

`outbox_server` is a fixture of the pytest plugin, which is there where the outbox is installed. Without pytest
`with fake_server() as server` is the same, and `async with FakeServer(...) as server` inside an event loop; `outbox
fake-server` runs it as a command. The script language is described in `outbox.testing.grammar`.

Names are imported at their first use: the plugin, which lies in this package, costs a test run nothing that it does not use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outbox.testing.draining import Drained, drain
    from outbox.testing.grammar import parse
    from outbox.testing.lookout import (
        Enqueued,
        all_enqueued,
        all_enqueued_async,
        assert_enqueued,
        assert_enqueued_async,
        refute_enqueued,
        refute_enqueued_async,
    )
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
    "Drained",
    "Enqueued",
    "FakeServer",
    "Problem",
    "Received",
    "Request",
    "Rule",
    "Script",
    "Step",
    "ThreadedFakeServer",
    "Turns",
    "all_enqueued",
    "all_enqueued_async",
    "assert_enqueued",
    "assert_enqueued_async",
    "drain",
    "fake_server",
    "parse",
    "read_record",
    "refute_enqueued",
    "refute_enqueued_async",
]

_HOME = {
    "draining": ("Drained", "drain"),
    "grammar": ("parse",),
    "lookout": (
        "Enqueued",
        "all_enqueued",
        "all_enqueued_async",
        "assert_enqueued",
        "assert_enqueued_async",
        "refute_enqueued",
        "refute_enqueued_async",
    ),
    "record": ("Received", "read_record"),
    "request": ("Request",),
    "script": ("Chances", "Rule", "Script", "Turns"),
    "server": ("PATH", "FakeServer"),
    "steps": ("Action", "Step"),
    "thread": ("ThreadedFakeServer", "fake_server"),
    "validate": ("Problem",),
}
"""The modules of this package, and what they give."""


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            found = globals()[name] = getattr(import_module(f"outbox.testing.{module}"), name)
            return found
    msg = f"module 'outbox.testing' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
