"""From events to rows of `outbox_message`: all that is wrong is known before the first statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from outbox.errors import EventRefused, Problem
from outbox.event import Encoded, Event, Identity
from outbox.producer.encoders import encoder
from outbox.producer.ids import uuid7, uuid7s
from outbox.producer.options import Options, check_key, check_options, check_undelayed
from outbox.settings.producer import ProducerSettings, producer_settings

Body: TypeAlias = "Event | Mapping[str, Any] | list[Any]"
"""An `Event`, or the Event API's documented request body as it is; for a webhook any JSON value."""

Entry: TypeAlias = "Body | tuple[Body, Identity | None]"
"""An element of `enqueue_many`: a body, or a pair of a body and who did it."""

Row: TypeAlias = dict[str, Any]

_ENOUGH = 100
"""Problems after which the rest of a long list of events is not looked at."""


class Batch(NamedTuple):
    """What one call writes: rows for `outbox_message` that differ in nothing but the event and what follows from it."""

    options: Options
    rows: list[Row]
    keys: Sequence[str | None]
    """Each row's `dedup_key`."""
    wakes: bool = False
    """Whether to tell workers of it. Not of what is due later."""

    @property
    def keyed(self) -> bool:
        """Whether any of its messages has an `ordering_key`: then every row names the column."""
        return bool(self.rows) and "ordering_key" in self.rows[0]

    @property
    def ids(self) -> list[UUID]:
        """The rows' ids, in order."""
        return [row["id"] for row in self.rows]


def one(
    event: Body, identity: Identity | None, dedup_key: str | None, ordering_key: str | None, given: Mapping[str, Any]
) -> Batch:
    """Check a single event and make its row."""
    problems: list[Problem] = []
    settings = _settings(given)
    options = check_options(problems, settings.destinations, **given)
    if dedup_key is not None:
        check_key(dedup_key, problems, "dedup_key")
    if ordering_key is not None:
        check_key(ordering_key, problems, "ordering_key")
        check_undelayed(options, problems)
    found: list[Encoded] = []
    if options.destination:
        try:
            found.append(encoder(settings, options.destination).encode(event, identity))
        except EventRefused as refused:
            problems += refused.problems
    if problems:
        raise EventRefused(*problems)
    row = row_of(uuid7(), found[0], settings, options)
    if ordering_key is not None:
        row["ordering_key"] = ordering_key
    return Batch(options, [row], (dedup_key,), _wakes(settings, options))


def many(
    events: Iterable[Entry],
    dedup_keys: Sequence[str | None] | None,
    ordering_keys: Sequence[str | None] | None,
    given: Mapping[str, Any],
) -> Batch:
    """Check all events and make their rows; problems carry their event's index."""
    problems: list[Problem] = []
    settings = _settings(given)
    options = check_options(problems, settings.destinations, **given)
    entries = _entries(events)
    keys = _keys("dedup_keys", dedup_keys, len(entries), problems)
    order = _keys("ordering_keys", ordering_keys, len(entries), problems)
    keyed = any(key is not None for key in order)
    if keyed:
        check_undelayed(options, problems)
    found = _encoded(entries, settings, options, problems)
    if problems:
        raise EventRefused(*problems)
    rows = [row_of(made, encoded, settings, options) for made, encoded in zip(uuid7s(len(found)), found, strict=True)]
    if keyed:
        rows = [row | {"ordering_key": key} for row, key in zip(rows, order, strict=True)]
    return Batch(options, rows, keys, _wakes(settings, options))


def _entries(events: Any) -> list[Any]:
    if isinstance(events, str | bytes | Mapping | Event) or not isinstance(events, Iterable):
        wrong = f"is of type {type(events).__name__}, not a list of events"
        raise EventRefused(Problem("events", wrong, "pass a list, or call outbox.enqueue for a single event"))
    return list(events)


def _keys(field: str, given: Any, count: int, problems: list[Problem]) -> Sequence[str | None]:
    if given is None:
        return (None,) * count
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != count:
        fix = "pass a list with one key, or None, for each event"
        problems.append(Problem(field, "is not a sequence as long as events", fix))
        return ()
    for index, key in enumerate(given):
        if key is not None:
            check_key(key, problems, f"{field}[{index}]")
    return given


def _settings(given: Mapping[str, Any]) -> ProducerSettings:
    destination = given["destination"]
    return producer_settings(destination) if isinstance(destination, str) else producer_settings()


def _wakes(settings: ProducerSettings, options: Options) -> bool:
    return settings.wakes and options.delay is None and options.deliver_at is None


def _encoded(
    entries: list[Any], settings: ProducerSettings, options: Options, problems: list[Problem]
) -> list[Encoded]:
    """The events as text; `problems` gets what is wrong with them, until there are enough."""
    found: list[Encoded] = []
    if not (entries and options.destination):
        return found
    encode = encoder(settings, options.destination).encode
    for index, entry in enumerate(entries):
        body, identity = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, None)
        try:
            found.append(encode(body, identity))
        except EventRefused as refused:
            problems += [replace(problem, field=f"events[{index}].{problem.field}") for problem in refused.problems]
            if len(problems) >= _ENOUGH:
                break
    return found


def row_of(made: UUID, encoded: Encoded, settings: ProducerSettings, options: Options) -> Row:
    """The row of one message."""
    row = {
        "id": made,
        "destination": options.destination,
        "name": encoded.name,
        "body": encoded.body,
        "on_unknown": options.on_unknown or settings.on_unknown(options.destination, encoded.name),
    }
    if encoded.occurred_at is not None:
        row["occurred_at"] = encoded.occurred_at
    if options.deliver_at is not None:
        row["due_at"] = options.deliver_at
    return row
