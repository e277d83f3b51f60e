"""A moment as RFC 3339 text in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def is_aware(moment: datetime) -> bool:
    """Whether it names one moment, and that moment exists in UTC."""
    try:
        moment.astimezone(UTC)
        return moment.utcoffset() is not None
    except (ValueError, OverflowError):  # an offset that leaves the years 1 to 9999; pandas' NaT
        return False


def rfc3339(moment: datetime, *, micros: bool) -> str:
    """`2026-01-31T12:00:00Z`; with `micros`, `2026-01-31T12:00:00.000000Z`."""
    text = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{text.isoformat(timespec='microseconds' if micros else 'seconds')}Z"
