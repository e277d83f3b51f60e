"""A transactional outbox for SQLAlchemy: events that commit with your rows are delivered, events that roll back never are.

::

    with Session(engine) as session, session.begin():
        session.add(order)
        outbox.enqueue(session, outbox.Event("order_placed", …), identity=outbox.Identity("user_123"))

Names are imported at their first use: `import outbox` alone costs next to nothing, and never brings in the worker,
its HTTP client or its command line.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from outbox._version import __version__

if TYPE_CHECKING:
    from outbox import sqlite
    from outbox.errors import (
        AutocommitRefused,
        ConfigurationError,
        EnqueueRefused,
        EventRefused,
        OutboxError,
        OutboxWarning,
        Problem,
        SavepointRefused,
        SchemaOutdated,
        TargetRefused,
    )
    from outbox.event import Event, Identity
    from outbox.producer import enqueue, enqueue_async, enqueue_many, enqueue_many_async

__all__ = [
    "AutocommitRefused",
    "ConfigurationError",
    "EnqueueRefused",
    "Event",
    "EventRefused",
    "Identity",
    "OutboxError",
    "OutboxWarning",
    "Problem",
    "SavepointRefused",
    "SchemaOutdated",
    "TargetRefused",
    "__version__",
    "enqueue",
    "enqueue_async",
    "enqueue_many",
    "enqueue_many_async",
    "schema",
    "sqlite",
]

_MODULES = {"schema", "sqlite"}

_HOME = {
    "Event": "outbox.event",
    "Identity": "outbox.event",
    "enqueue": "outbox.producer",
    "enqueue_async": "outbox.producer",
    "enqueue_many": "outbox.producer",
    "enqueue_many_async": "outbox.producer",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"outbox.{name}")
    if name not in __all__:
        msg = f"module 'outbox' has no attribute {name!r}"
        raise AttributeError(msg)
    found = globals()[name] = getattr(import_module(_HOME.get(name, "outbox.errors")), name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
