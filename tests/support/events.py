"""Bodies of the Event API, and what the outbox makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from outbox.errors import EventRefused, Problem
from outbox.event import Encoded, encode

BODIES = Path(__file__).parents[1] / "data" / "bodies"
"""The documentation's own examples, and a minimal one."""

BODY_NAMES = ("minimal", "stripe_webhook", "subscription_purchase")


def body(name: str = "subscription_purchase") -> dict[str, Any]:
    """One of the documented bodies, fresh."""
    found: dict[str, Any] = json.loads((BODIES / f"{name}.json").read_text(encoding="utf-8"))
    return found


def encoded(
    event: Any,
    identity: Any = None,
    *,
    project_id: str | None = None,
    max_body: int = 256 * 1024,
    occurred_at_property: str | None = None,
    allow_names: Collection[str] = (),
) -> Encoded:
    """`encode` with the default settings."""
    return encode(
        event,
        identity,
        project_id=project_id,
        max_body=max_body,
        occurred_at_property=occurred_at_property,
        allow_names=allow_names,
    )


def sent(event: Any, identity: Any = None, **settings: Any) -> dict[str, Any]:
    """The body as the destination reads it."""
    found: dict[str, Any] = json.loads(encoded(event, identity, **settings).body)
    return found


def problems_of(call: Callable[[], object]) -> dict[str, Problem]:
    """What the call is refused for, by field."""
    with pytest.raises(EventRefused) as caught:
        call()
    return {problem.field: problem for problem in caught.value.problems}


def the_problem(call: Callable[[], object]) -> Problem:
    """The only thing that the call is refused for."""
    with pytest.raises(EventRefused) as caught:
        call()
    (problem,) = caught.value.problems
    return problem
