"""Every setting, once: its meaning, its default, how it is read and shown. The docs are made from this."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from outbox.settings import values
from outbox.settings.answers import Meaning, answers, show_answers
from outbox.settings.destinations import (
    DEFAULT_ENDPOINT,
    DEFAULT_MAX_BODY,
    OVERCENTRIC,
    SHARED,
    DestinationSettings,
    EventSettings,
)
from outbox.settings.reading import Reading


def _setting(
    default: Any,
    doc: str,
    *,
    parse: Callable[[str], Any] = str,
    show: Callable[[Any], str] = str,
    example: str = "",
    secret: bool = False,
) -> Any:
    return field(default=default, metadata={"reading": Reading(doc, parse, show, example, secret)}, repr=not secret)


def _retention(default: str, doc: str, example: str) -> Any:
    return _setting(values.retention(default), doc, parse=values.retention, show=values.show_retention, example=example)


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
    endpoint: str = _setting(
        DEFAULT_ENDPOINT,
        "Where events are POSTed.",
        show=values.hidden_in_url,
        example="http://127.0.0.1:8025/api/v1/event",
    )
    project_id: str | None = _setting(None, "Overcentric project of events that name none.", example="my-project")
    concurrency: int = _setting(
        64, "POSTs in flight at once, per worker process and destination.", parse=values.positive, example="128"
    )
    rate: float | None = _setting(
        None,
        "Most messages sent to a destination in a second (`/s`), a minute (`/m`) or an hour (`/h`), by all workers "
        "together. `none` for no limit.",
        parse=values.rate,
        show=values.show_rate,
        example="50/s",
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
    proxy: str | None = _setting(
        None,
        "Proxy for every request, `http://` or `https://`, with a user name and a password if it asks for them. "
        "`none` for a direct way. `HTTP_PROXY` and the like are not heeded.",
        parse=values.proxy,
        show=values.hidden_in_url,
        example="http://proxy.internal:3128",
        secret=True,
    )
    ca_file: str | None = _setting(
        None,
        "PEM file of certificate authorities to trust beside the system's. `SSL_CERT_FILE` is not heeded, and "
        "verification cannot be switched off.",
        example="/etc/ssl/private-ca.pem",
    )
    pause_after: int = _setting(
        5,
        "Different messages that must fail in a row, as many as are still in flight at least, before their destination is "
        "paused. 0 pauses none.",
        parse=values.count,
        example="20",
    )
    pause_first: float = _setting(
        2.0,
        "How long the first pause of a failing destination lasts. Each that follows at once is twice as long.",
        parse=values.positive_duration,
        show=values.show_duration,
        example="500ms",
    )
    pause_longest: float = _setting(
        60.0,
        "Longest pause of a failing destination before it is tried again.",
        parse=values.positive_duration,
        show=values.show_duration,
        example="5m",
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
    answers: tuple[Meaning, ...] = _setting(
        (),
        "Answers to read otherwise than HTTP defines them: statuses or ranges, each with `delivered`, `retry`, `failed` or "
        "`refused` (it is the destination that is wrong or closed, not the message). The first that names a status decides.",
        parse=answers,
        show=show_answers,
        example="409=delivered,520-529=retry,451=refused",
    )
    policy: str | None = _setting(
        None,
        "A `Policy` of your own, as `module:name`, in place of `OUTBOX_RETRY_SCHEDULE`, `OUTBOX_MAX_ATTEMPTS` and "
        "`OUTBOX_RETRY_AFTER_MAX`.",
        example="shop.delivery:policy",
    )
    wake: str = _setting(
        "off",
        "`on`: on PostgreSQL `enqueue` sends a NOTIFY with the transaction, when the process has enqueued nothing for 0.1 s, and "
        "a worker listens, on a second connection, so that it looks at once. To be set for both: a worker that listens looks by the clock every 0.6 s, else every 0.15 s. "
        "SQLite needs no setting.",
        parse=values.one_of("on", "off"),
        example="on",
    )
    keep_delivered: float = _retention(
        "7d", "How long a delivered message stays after it was delivered, with the records of its attempts.", "30d"
    )
    keep_failed: float = _retention(
        "90d",
        "How long a failed message stays after it was given up, to be sent again, with the records of its attempts.",
        "forever",
    )
    keep_dedup: float = _retention(
        "30d",
        "How long a `dedup_key` keeps others from being enqueued under it. That of a pending message stays longer.",
        "180d",
    )
    keep_body: float = _retention(
        "forever",
        "How long a delivered message keeps its body. `0`: it is wiped in the statement that marks the message delivered; "
        "a time: within a day after it. `forever`: as long as the message.",
        "0",
    )
    delivery: str = _setting(
        "on",
        "`on` sends. `log` writes each event's id and name to the log and marks it delivered, for staging. "
        "`off` leaves everything pending.",
        parse=values.one_of("on", "log", "off"),
        example="log",
    )
    park: tuple[str, ...] = _setting(
        (),
        'Names of events that `enqueue` gives `on_unknown="park"` where neither it nor the destination is told '
        "otherwise: shell patterns, separated by commas.",
        parse=values.names,
        show=",".join,
        example="order_*,payment_*",
    )
    max_body: int = _setting(
        DEFAULT_MAX_BODY,
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
    heartbeat_file: str | None = _setting(
        None,
        "File that a worker touches whenever it has come round, for `outbox health`. Each worker needs one of its own, best in "
        "memory.",
        example="/run/outbox/heartbeat",
    )
    metrics_port: int | None = _setting(
        None,
        "Port on which a worker answers `/metrics`, `/healthz` and `/readyz`; 0 for any free one, which the log names. Needs "
        "`pip install 'overcentric-outbox[metrics]'`.",
        parse=values.port,
        example="9464",
    )
    metrics_host: str = _setting(
        "127.0.0.1",
        "Address on which it does. There is no password: another than a loopback address is for a network that you trust.",
        example="0.0.0.0",  # noqa: S104 - an example, with the warning beside it
    )

    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """What each destination beside `overcentric` is told for itself, by its name and the names in `OWN`."""

    @property
    def destinations(self) -> dict[str, DestinationSettings]:
        """Every destination's settings by its name, `overcentric` first. Made anew at each look."""
        names = frozenset(self.allow_names)
        events = EventSettings(self.project_id, self.max_body, self.occurred_at_property, names)
        shared: dict[str, Any] = {name: getattr(self, name) for name in SHARED} | {"events": events}
        first = DestinationSettings(OVERCENTRIC, OVERCENTRIC, self.endpoint, **shared)
        others = (
            DestinationSettings(**{"name": name, "kind": "webhook", **shared, **told})
            for name, told in self.own.items()
        )
        return {each.name: each for each in (first, *others)}

    @classmethod
    def readings(cls) -> dict[str, Reading]:
        """Each setting's `Reading`, by name, in the order of the documentation."""
        return {each.name: each.metadata["reading"] for each in fields(cls) if each.metadata}

    def replace(self, **changes: Any) -> Self:
        """Copy with some settings changed."""
        return type(self)(**{each.name: getattr(self, each.name) for each in fields(self)} | changes)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"OUTBOX_{name.upper()}"
