"""What the fake destination thinks about a request, without a socket: route, validate, decide, record."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from outbox.testing.record import Journal, Received
from outbox.testing.request import Request
from outbox.testing.script import Answerer, Script
from outbox.testing.steps import OK, Action, Step
from outbox.testing.validate import examine

NOT_FOUND = Step(Action.STATUS, 404)
METHOD_NOT_ALLOWED = Step(Action.STATUS, 405, headers=(("Allow", "POST"),))
HEALTH_METHOD_NOT_ALLOWED = Step(Action.STATUS, 405, headers=(("Allow", "GET, HEAD"),))
HEALTHY = Step(Action.STATUS, 200)


@dataclass(slots=True)
class Service:
    """The destination behind the connections."""

    journal: Journal
    script: Script | Answerer
    path: str | None
    """Where events are taken; None: at every path."""
    notice: Callable[[Received], None]
    """Called with each record, after it is written."""
    _delays: Script = field(default_factory=Script)

    def early(self, request: Request) -> Step | None:
        """What is to be done before the body is read, if anything."""
        if not isinstance(self.script, Script) or self._route(request) is not None:
            return None
        return self.script.decide_early(request)

    def handle(self, request: Request) -> tuple[Step, float]:
        """Decide on a whole request and record it: its step, and the seconds until it is performed.

        Raises `OutboxError` if it cannot be recorded: then nothing may be answered.
        """
        refused = None if request.refused is None else Step(Action.STATUS, request.refused)
        step = refused or self._route(request) or self._decide(request)
        if request.method == "POST":
            self._record(request, step)
        if step.delay[1] == 0:
            return step, 0.0
        return step, (self.script if isinstance(self.script, Script) else self._delays).seconds(step)

    def _route(self, request: Request) -> Step | None:
        path = request.target.partition("?")[0]
        if path.startswith("http://"):
            path = "/" + path[7:].partition("/")[2]
        if path == "/health":
            return HEALTHY if request.method in {"GET", "HEAD"} else HEALTH_METHOD_NOT_ALLOWED
        if self.path is not None and path != self.path:
            return NOT_FOUND
        return None if request.method == "POST" else METHOD_NOT_ALLOWED

    def _decide(self, request: Request) -> Step:
        if request.step is not None and request.step.action is Action.RESET_EARLY:
            return request.step
        request.name, request.problems = examine(request.fields, request.body)
        decide = self.script.decide if isinstance(self.script, Script) else self.script
        step = request.step or decide(request) or OK
        return replace(step, status=400) if step.action is Action.OK and request.problems else step

    def _record(self, request: Request, step: Step) -> None:
        self.journal.seq += 1
        received = Received(
            self.journal.seq,
            time.time(),
            time.monotonic(),
            request.target,
            tuple(request.headers),
            request.body,
            request.key,
            request.name,
            step.label,
            step.accepts,
            request.problems,
        )
        self.journal.add(received)
        self.notice(received)
