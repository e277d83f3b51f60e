"""`Retry-After` (RFC 9110, 10.2.3), read strictly: what is not exactly one of its forms counts as absent."""

from __future__ import annotations

import re
from datetime import UTC, datetime

# Ten digits are 317 years: enough for every honest answer, and no float overflows.
_SECONDS = re.compile(r"[0-9]{1,10}")

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
# IMF-fixdate, then the two obsolete forms that a recipient must accept (RFC 9110, 5.6.7).
_DATES = (
    re.compile(rf"(?P<name>{'|'.join(_DAYS)}), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"(?P<name>{'|'.join(_LONG_DAYS)}), (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"(?P<name>{'|'.join(_DAYS)}) {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait, counted from `now`; 0 for a date that has passed, None for anything that is not valid."""
    if value is None:
        return None
    text = value.strip(" \t")
    if _SECONDS.fullmatch(text):
        return float(text)
    date = _http_date(text, now)
    return None if date is None else max(0.0, (date - now).total_seconds())


def _http_date(text: str, now: datetime) -> datetime | None:
    found = next(filter(None, (form.fullmatch(text) for form in _DATES)), None)
    if found is None:
        return None
    year = int(found["year"])
    try:
        date = datetime(
            year if len(found["year"]) == 4 else _century(year, now),
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            min(int(found["second"]), 59) if found["second"] == "60" else int(found["second"]),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return date if found["name"][:3] == _DAYS[date.weekday()] else None


def _century(year: int, now: datetime) -> int:
    """Widen a two-digit year: one that seems more than 50 years ahead lies in the past (RFC 9110, 5.6.7)."""
    full = now.year + (year - now.year) % 100
    return full - 100 if full > now.year + 50 else full
