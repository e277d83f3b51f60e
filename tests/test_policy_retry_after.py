"""`Retry-After`, read strictly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.policy import retry_after

NOW = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("5", 5),
        (" 120\t", 120),
        ("0120", 120),
        ("9999999999", 9999999999),
        ("Sun, 06 Nov 1994 08:50:07 GMT", 30),
        ("Sunday, 06-Nov-94 08:50:07 GMT", 30),
        ("Sun Nov  6 08:50:07 1994", 30),
        ("Sun Nov 13 08:49:37 1994", 7 * 86400),
        ("Sat, 31 Dec 1994 23:59:60 GMT", (datetime(1994, 12, 31, 23, 59, 59, tzinfo=UTC) - NOW).total_seconds()),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Tuesday, 01-Jan-74 00:00:00 GMT", 0),
        ("Friday, 01-Jan-44 00:00:00 GMT", (datetime(2044, 1, 1, tzinfo=UTC) - NOW).total_seconds()),
        ("Monday, 01-Jan-45 00:00:00 GMT", 0),
        ("Fri, 01 Jan 2094 00:00:00 GMT", (datetime(2094, 1, 1, tzinfo=UTC) - NOW).total_seconds()),
    ],
)
def test_what_counts(value: str, seconds: float) -> None:
    """Seconds, and the three forms of HTTP's dates; a date that has passed means now."""
    assert retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "1_000",
        "0x10",
        "²",
        "٣",
        "\uff11\uff12",
        "5 s",
        "5, 6",
        "5\n",
        "\x0b5",
        "99999999999",
        "9" * 5000,
        "inf",
        "nan",
        "soon",
        "Sun, 6 Nov 1994 08:50:07 GMT",
        "Sun, 06 Nov 1994 08:50:07 UTC",
        "Sun, 06 Nov 1994 08:50:07 +0000",
        "Sun, 06 Nov 1994 08:50:07",
        "sun, 06 nov 1994 08:50:07 gmt",
        "Mon, 06 Nov 1994 08:50:07 GMT",
        "Sun, 31 Feb 1994 08:50:07 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:50:61 GMT",
        "Sun, 06 Nov 0000 08:50:07 GMT",
        "Sun, ٠٦ Nov 1994 08:50:07 GMT",
        "1994-11-06T08:50:07Z",
    ],
)
def test_what_counts_as_absent(value: str | None) -> None:
    """Anything that is not exactly one of the forms is ignored."""
    assert retry_after(value, NOW) is None


@given(st.integers(1, 9_000_000), st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1)))  # noqa: DTZ001 - Hypothesis asks for naive bounds
def test_dates_from_another_writer(seconds: int, moment: datetime) -> None:
    """What the standard library writes as an HTTP date is read back to the second."""
    now = moment.replace(microsecond=0, tzinfo=UTC)
    value = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
    assert retry_after(value, now) == seconds


@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"])
def test_every_day_of_a_year_in_every_form(form: str) -> None:
    """The names of all days and months are known, short and long."""
    year = range(1, 366)
    assert [retry_after((NOW + timedelta(day)).strftime(form), NOW) for day in year] == [86400 * day for day in year]


@given(st.text())
def test_no_text_breaks_it(value: str) -> None:
    """Whatever a destination writes, the result is absent or a usable number."""
    seconds = retry_after(value, NOW)
    assert seconds is None or 0 <= seconds < 1e11
