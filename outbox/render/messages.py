"""Messages and how they stand, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from outbox.event.moments import rfc3339
from outbox.render.ages import ago
from outbox.render.jsons import to_json
from outbox.render.screen import line
from outbox.render.table import Column, table
from outbox.store.look import AttemptRecord, Group, Shown, Summary

_STATES = {"failed": "red", "delivered": "green", "pending": "yellow"}

_MESSAGES = (
    Column("ID"),
    Column("STATE", styles=_STATES),
    Column("NAME", least=20),
    Column("FAILS", right=True),
    Column("CREATED"),
    Column("NOTE", least=24),
)


def message_table(rows: Sequence[Summary], now: datetime) -> None:
    """Print messages, one a row."""
    table(
        _MESSAGES,
        [(row.id, row.state, row.name, row.attempts, ago(row.created_at, now), note(row, now)) for row in rows],
    )


def note(row: Summary, now: datetime) -> str:
    """What a person wants to know beside the state: when it goes, or why it does not."""
    if row.state == "delivered":
        return ""
    when = "" if row.state == "failed" else f"due {ago(row.due_at, now)}"
    status = "" if row.last_status is None else str(row.last_status)
    return ", ".join(part for part in (when, row.failure_reason, status, row.last_error) if part)


def group_table(by: str, rows: Sequence[Group], now: datetime) -> None:
    """Print counts by cause."""
    columns = (
        Column("COUNT", right=True),
        Column("FIRST"),
        Column("LAST"),
        Column("SAMPLE ID"),
        Column(by.upper()),
    )
    table(columns, [(row.count, *_span(row, now), row.sample_id, _value(row.value)) for row in rows])


def group_fields(by: str) -> tuple[str, ...]:
    """What is told of each count."""
    return (by, "count", "first_settled_at", "last_settled_at", "sample_id")


def group_json(by: str, group: Group) -> dict[str, object]:
    """The object that stands for one count."""
    values = (group.value, group.count, group.first_settled_at, group.last_settled_at, group.sample_id)
    return dict(zip(group_fields(by), values, strict=True))


def _span(row: Group, now: datetime) -> Iterator[str]:
    for moment in (row.first_settled_at, row.last_settled_at):
        yield "" if moment is None else ago(moment, now)


def _value(value: str | int | None) -> str:
    return "none" if value is None else str(value)


def show_message(found: Shown, now: datetime) -> None:
    """Print one message: its fields, its body, its attempts."""
    for name, value in (found.summary._asdict() | found.details._asdict()).items():
        if name != "body" and value is not None:
            line(f"{name:<15} {_field(value, now)}")
    line()
    line("body")
    for part in _pretty(found.details.body) or [_no_body(found.summary.state)]:
        line(f"  {part}")
    line()
    _show_attempts(found.attempts_log)


def _field(value: object, now: datetime) -> str:
    if isinstance(value, datetime):
        return f"{rfc3339(value, micros=True)}  ({ago(value, now)})"
    return str(value)


def _no_body(state: str) -> str:
    return "wiped after delivery" if state == "delivered" else "erased by outbox forget"


def _pretty(body: str) -> list[str]:
    if is_wiped(body):
        return []
    parsed = parsed_body(body)
    return [body] if isinstance(parsed, str) else json.dumps(parsed, indent=2, ensure_ascii=False).split("\n")


def is_wiped(body: str) -> bool:
    """Whether the body was wiped or erased: there is nothing left of it."""
    return not body


def parsed_body(body: str) -> Any:
    """The body as the JSON that it is; the text itself where it is none; None where nothing is left of it."""
    if is_wiped(body):
        return None
    try:
        parsed = json.loads(body, parse_constant=_no_number)
        to_json(parsed)
    except (ValueError, RecursionError):
        return body
    return parsed


def _no_number(word: str) -> None:
    msg = f"{word} is not JSON"
    raise ValueError(msg)


_ATTEMPTS = (
    Column("ATTEMPT", right=True),
    Column("STARTED"),
    Column("TOOK", right=True),
    Column("TRIES", right=True),
    Column("STATUS", right=True),
    Column("CERTAINTY"),
    Column("ERROR"),
    Column("ANSWER"),
)


def _show_attempts(log: Sequence[AttemptRecord]) -> None:
    if not log:
        line("no failed attempts")
        return
    table(
        _ATTEMPTS,
        [
            (
                each.attempt,
                rfc3339(each.started_at, micros=False),
                f"{each.duration_ms} ms",
                each.tries,
                each.status,
                each.certainty,
                each.error,
                each.response,
            )
            for each in log
        ],
    )


def plural(count: int, word: str) -> str:
    """`1 message`, `2 messages`."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
