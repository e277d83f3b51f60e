"""From events to rows of `outbox_message`: all that is wrong is known before the first statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from uuid import UUID

from outbox.errors import EventRefused, Problem
from outbox.event import Encoded, Event, Identity, encode
from outbox.producer.ids import uuid7, uuid7s
from outbox.producer.options import Options, check_key, check_options, check_undelayed
from outbox.settings.producer import ProducerSettings, producer_settings

Body: TypeAlias = "Event | Mapping[str, Any]"
"""An `Event`, or the Event API's documented request body as it is."""

Entry: TypeAlias = "Body | tuple[Body, Identity | None]"
"""An element of `enqueue_many`: a body, or a pair of a body and who did it."""

Row: TypeAlias = dict[str, Any]

_ENOUGH = 100
"""Problems after which the rest of a long list of events is not looked at."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call writes: rows for `outbox_message` that differ in nothing but the event."""

    options: Options
    rows: list[Row]
    keys: Sequence[str | None]
    """Each row's `dedup_key`."""

    @property
    def keyed(self) -> bool:
        """Whether any of its messages has an `ordering_key`: then every row names the column."""
        return bool(self.rows) and "ordering_key" in self.rows[0]

    @property
    def ids(self) -> list[UUID]:
        """The rows' ids, in order."""
        return [row["id"] for row in self.rows]


def one(event: Body, identity: Identity | None, dedup_key: str | None, ordering_key: str | None, **given: Any) -> Batch:
    """Check a single event and make its row."""
    problems: list[Problem] = []
    options = check_options(problems, **given)
    if dedup_key is not None:
        check_key(dedup_key, problems, "dedup_key")
    if ordering_key is not None:
        check_key(ordering_key, problems, "ordering_key")
        check_undelayed(options, problems)
    encoded = _encoded(event, identity, producer_settings(), problems, "")
    if problems or encoded is None:
        raise EventRefused(*problems)
    row = _row(uuid7(), encoded, options)
    if ordering_key is not None:
        row["ordering_key"] = ordering_key
    return Batch(options, [row], (dedup_key,))


def many(
    events: Iterable[Entry],
    dedup_keys: Sequence[str | None] | None,
    ordering_keys: Sequence[str | None] | None,
    **given: Any,
) -> Batch:
    """Check all events and make their rows; problems carry their event's index."""
    problems: list[Problem] = []
    options = check_options(problems, **given)
    entries = _entries(events)
    keys = _keys("dedup_keys", dedup_keys, len(entries), problems)
    order = _keys("ordering_keys", ordering_keys, len(entries), problems)
    keyed = any(key is not None for key in order)
    if keyed:
        check_undelayed(options, problems)
    settings = producer_settings()
    found: list[Encoded] = []
    for index, entry in enumerate(entries):
        body, identity = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, None)
        encoded = _encoded(body, identity, settings, problems, f"events[{index}].")
        if encoded is not None:
            found.append(encoded)
        if len(problems) >= _ENOUGH:
            break
    if problems:
        raise EventRefused(*problems)
    rows = [_row(made, encoded, options) for made, encoded in zip(uuid7s(len(found)), found, strict=True)]
    if keyed:
        rows = [row | {"ordering_key": key} for row, key in zip(rows, order, strict=True)]
    return Batch(options, rows, keys)


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


def _encoded(
    body: Any, identity: Any, settings: ProducerSettings, problems: list[Problem], where: str
) -> Encoded | None:
    try:
        return encode(
            body,
            identity,
            project_id=settings.project_id,
            max_body=settings.max_body,
            occurred_at_property=settings.occurred_at_property,
            allow_names=settings.allow_names,
        )
    except EventRefused as refused:
        problems += [replace(problem, field=f"{where}{problem.field}") for problem in refused.problems]
        return None


def _row(made: UUID, encoded: Encoded, options: Options) -> Row:
    row = {
        "id": made,
        "destination": options.destination,
        "name": encoded.name,
        "body": encoded.body,
        "on_unknown": options.on_unknown,
    }
    if encoded.occurred_at is not None:
        row["occurred_at"] = encoded.occurred_at
    if options.deliver_at is not None:
        row["due_at"] = options.deliver_at
    return row
