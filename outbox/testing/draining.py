"""Deliver what is due, with the real worker, inside the test's own process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from outbox.errors import ConfigurationError
from outbox.service import run_inside
from outbox.settings import Settings, load
from outbox.store.url import synchronous_url
from outbox.worker import Mode

_HURRY = {"delivery": "on", "drain_timeout": 1.0}
"""Unless a test says otherwise."""


class Endpoint(Protocol):
    """A `ThreadedFakeServer` or a `FakeServer`."""

    @property
    def url(self) -> str:
        """Where it takes events."""


class HasUrl(Protocol):
    """An Engine or an AsyncEngine."""

    @property
    def url(self) -> Any:
        """The database's URL."""


class Drained(NamedTuple):
    """What a drain did."""

    delivered: int = 0
    rescheduled: int = 0
    """Attempts that failed and will be repeated, at their time."""
    failed: int = 0
    """Given up: `assert_enqueued(…, state="failed")` finds them."""
    later: str | None = None
    """Why something that is due could not be sent: a pause, an endpoint that is out of reach, a destination that is not
    named here."""


def drain(
    engine: HasUrl,
    destination: Endpoint | str,
    *,
    others: Mapping[str, Endpoint | str] | None = None,
    within: float = 30.0,
    **settings: Any,
) -> Drained:
    """Deliver all that is due to `destination`, a fake server or a URL, and say what came of it.

    The worker is the real one, in drain mode, on a thread of its own with a connection of its own: it sees what is
    committed, and nothing else. `others` are the endpoints of further destinations, by name; the outbox's variables
    configure them otherwise (`OUTBOX_DESTINATION_CRM_SECRET`). Nothing is ever sent elsewhere. Messages that wait for a
    later attempt are left; `settings`, by their names in `outbox.settings.Settings`, can change how long that is:
    `retry_schedule=(0.0,)` has every attempt follow at once.

    It waits for its end, also inside an event loop; a `FakeServer` of the same loop needs
    `await asyncio.to_thread(drain, engine, server)`.

    Raises `TimeoutError` after `within` seconds; `ConfigurationError` for a database that only one connection sees, and
    for settings that contradict each other; `SchemaOutdated` and `DatabaseUnreachable` as the worker does.
    """
    text = engine.url.render_as_string(hide_password=False)
    _require_shared(text)
    ended = run_inside(_settings(text, destination, others or {}, settings), Mode.DRAIN, within)
    counts = ended.counts
    return Drained(counts.delivered, counts.rescheduled, counts.failed, ended.later)


def _settings(
    database_url: str, destination: Endpoint | str, others: Mapping[str, Endpoint | str], changes: Mapping[str, Any]
) -> Settings:
    """The environment's settings, but for where the database is and where anything is sent."""
    loaded = load().settings
    own = {name: {**loaded.own.get(name, {}), "url": _url(each), "proxy": None} for name, each in others.items()}
    return loaded.replace(
        database_url=database_url, endpoint=_url(destination), proxy=None, own=own, **{**_HURRY, **changes}
    )


def _url(endpoint: Endpoint | str) -> str:
    return endpoint if isinstance(endpoint, str) else endpoint.url


def _require_shared(database_url: str) -> None:
    url = synchronous_url(database_url)
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        msg = "A SQLite database in memory is seen by the connection that made it alone, and a worker has its own"
        raise ConfigurationError(msg, hint='Give the test a file: create_engine(f"sqlite:///{tmp_path}/test.db")')
