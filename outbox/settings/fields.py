"""Every setting, once: its meaning, its default, how it is read and shown. The docs are made from this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Self

from outbox.settings import values

DEFAULT_ENDPOINT = "https://app.overcentric.com/api/v1/event"
"""From the Event API's documentation page."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How one setting is written."""

    doc: str
    parse: Callable[[str], Any] = str
    show: Callable[[Any], str] = str
    example: str = ""


def _setting(
    default: Any, doc: str, *, parse: Callable[[str], Any] = str, show: Callable[[Any], str] = str, example: str = ""
) -> Any:
    return field(default=default, metadata={"reading": Reading(doc, parse, show, example)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the outbox can be told. Built by `outbox.settings.load`, which alone reads the environment."""

    database_url: str = _setting(
        "sqlite:///outbox.db",
        "Database that holds the outbox, as a SQLAlchemy URL. Write it as the application has it: `postgres://`, "
        "`postgresql+asyncpg://`, `sqlite+aiosqlite://`, `mariadb://` and the like are mapped to the worker's synchronous "
        "driver. A worker that does not run on a terminal requires it.",
        example="postgresql://app@db.internal/shop",
    )
    endpoint: str = _setting(DEFAULT_ENDPOINT, "Where events are POSTed.", example="http://127.0.0.1:8025/api/v1/event")
    project_id: str | None = _setting(None, "Overcentric project of events that name none.", example="my-project")
    concurrency: int = _setting(
        64, "POSTs in flight at once, per worker process.", parse=values.positive, example="128"
    )
    lease: float = _setting(
        60.0,
        "How long a worker holds what it claimed. After a crash another worker sends it when this has passed. "
        "At least twice `OUTBOX_TRY_TIMEOUT`.",
        parse=values.positive_duration,
        show=values.show_duration,
        example="90s",
    )
    try_timeout: float = _setting(
        10.0,
        "Deadline of one HTTP request, from connecting to the last byte of the answer.",
        parse=values.positive_duration,
        show=values.show_duration,
        example="5s",
    )
    drain_timeout: float = _setting(
        25.0,
        "How long a stopping worker waits for the answers to what it has in flight.",
        parse=values.duration,
        show=values.show_duration,
        example="60s",
    )
    retry_schedule: tuple[float, ...] = _setting(
        (5.0, 30.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0),
        "Waits between the attempts at a message, ±20 % at random; the last one repeats.",
        parse=values.durations,
        show=values.show_durations,
        example="5s,30s,5m",
    )
    max_attempts: int = _setting(
        18,
        "Charged attempts after which a message is failed (`exhausted`). With the default schedule that is about 5 days.",
        parse=values.positive,
        example="10",
    )
    behind_failed: str = _setting(
        "pass",
        "What happens to the messages of an `ordering_key` behind one that failed: `pass` sends them, `block` keeps them "
        "until an operator sends the failed one again.",
        parse=values.one_of("pass", "block"),
        example="block",
    )
    retry_after_max: float = _setting(
        3600.0,
        "Longest `Retry-After` of the destination that is honoured.",
        parse=values.duration,
        show=values.show_duration,
        example="15m",
    )
    delivery: str = _setting(
        "on",
        "`on` sends. `log` writes each event's id and name to the log and marks it delivered, for staging. "
        "`off` leaves everything pending.",
        parse=values.one_of("on", "log", "off"),
        example="log",
    )
    max_body: int = _setting(
        256 * 1024,
        "Largest request body that `enqueue` accepts.",
        parse=values.size,
        show=values.show_size,
        example="64KiB",
    )
    occurred_at_property: str | None = _setting(
        None,
        "Name of a property that `enqueue` fills with the event's own time (RFC 3339, UTC). The Event API has no "
        "timestamp field: an event counts when it arrives. Off by default.",
        example="occurred_at",
    )
    allow_names: tuple[str, ...] = _setting(
        (),
        "Names beginning with `$` to accept beside the documented reserved ones, separated by commas.",
        parse=values.names,
        show=",".join,
        example="$trial_start",
    )
    log_level: str = _setting(
        "info",
        "`debug`, `info`, `warning` or `error`.",
        parse=values.one_of("debug", "info", "warning", "error"),
        example="warning",
    )
    log_format: str = _setting(
        "console", "`console` or `json` (one object a line).", parse=values.one_of("console", "json"), example="json"
    )

    @classmethod
    def readings(cls) -> dict[str, Reading]:
        """Each setting's `Reading`, by name, in the order of the documentation."""
        return {each.name: each.metadata["reading"] for each in fields(cls)}

    def replace(self, **changes: Any) -> Self:
        """Copy with some settings changed."""
        return type(self)(**{each.name: getattr(self, each.name) for each in fields(self)} | changes)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"OUTBOX_{name.upper()}"
