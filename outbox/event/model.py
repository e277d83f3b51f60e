"""Event and Identity: what the application says happened, and who did it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from outbox.event.fields import EVENT_FIELDS, IDENTITY_FIELDS, Fields, check_fields
from outbox.event.moments import is_aware
from outbox.event.names import Context
from outbox.event.problems import Problems, described

SERVER_ID = "webhook"
"""`device_id` and `session_id` of what comes from no browser (Event API page, "Webhook Events")."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The user behind an event: the Event API's identity object, optional but recommended by its page.

    Raises `EventRefused` when it is made from what can never be sent. Its `repr` tells nothing of the user, so that
    a log line or a traceback with local variables does not either.
    """

    unique_identifier: str = field(repr=False)
    """Unique id of the user, as text."""

    email: str | None = field(default=None, kw_only=True, repr=False)
    name: str | None = field(default=None, kw_only=True, repr=False)
    project_id: str | None = field(default=None, kw_only=True)
    """Filled from the event's, which it must equal."""

    _checked: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = Problems()
        checked = _check(self, "identity", IDENTITY_FIELDS, problems)
        problems.refuse_if_any()
        object.__setattr__(self, "_checked", checked)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: the Event API's event object, and the time at which it happened.

    Raises `EventRefused`, naming every wrong field, when it is made from what can never be sent. What depends on the
    settings (the project, the size of the body, names beginning with `$`) is checked when it is enqueued.
    Its `repr` leaves out what may tell of the user.
    """

    name: str
    """Reserved (`outbox.event.RESERVED_NAMES`), or your own: snake_case, descriptive, short. At most 200 characters."""

    device_id: str = field(kw_only=True, repr=False)
    """`window.overcentricDeviceId` of the page that caused the event."""

    session_id: str = field(kw_only=True, repr=False)
    """`window.overcentricSessionId` of the page. A session ends after 30 minutes of inactivity."""

    context: Context = field(kw_only=True)
    """The dashboard: `"website"` or `"product"`."""

    project_id: str | None = field(default=None, kw_only=True)
    """Overcentric project; `OUTBOX_PROJECT_ID` where None."""

    properties: Mapping[str, Any] | None = field(default=None, kw_only=True, repr=False, hash=False)
    """Data of your own. Kept as the plain JSON values that will be sent (`outbox.event.values` has the rule),
    so that what becomes of the dict that was passed does not matter."""

    url: str | None = field(default=None, kw_only=True, repr=False)
    """The URL where the event occurred."""

    hostname: str | None = field(default=None, kw_only=True)
    """The page's bare host. The browser SDK sends it without a leading `www.`."""

    occurred_at: datetime | None = field(default=None, kw_only=True)
    """The event's own time, aware; None is now, by the database's clock. The Event API has no such field: it is kept in
    the outbox, and sent only under the property that `OUTBOX_OCCURRED_AT_PROPERTY` names."""

    _checked: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = Problems()
        if self.occurred_at is not None:
            _check_occurred_at(self.occurred_at, problems)
        checked = _check(self, "event", EVENT_FIELDS, problems)
        problems.refuse_if_any()
        if "properties" in checked:
            checked["properties"] = dict(checked["properties"])
            object.__setattr__(self, "properties", checked["properties"])
        object.__setattr__(self, "_checked", checked)

    @classmethod
    def server(
        cls,
        name: str,
        *,
        context: Context = "product",
        properties: Mapping[str, Any] | None = None,
        project_id: str | None = None,
        url: str | None = None,
        hostname: str | None = None,
        occurred_at: datetime | None = None,
    ) -> Self:
        """Make an event that comes from no browser: a payment provider's webhook, a job, a scheduled task.

        Its `device_id` and `session_id` are `"webhook"`, as the Event API page shows them for such events.
        """
        return cls(
            name,
            device_id=SERVER_ID,
            session_id=SERVER_ID,
            context=context,
            project_id=project_id,
            properties=properties,
            url=url,
            hostname=hostname,
            occurred_at=occurred_at,
        )


def checked_fields(made: Event | Identity) -> dict[str, Any]:
    """The documented fields that were given, as they were found good when it was made: they need no second look."""
    return made._checked.copy()  # noqa: SLF001 - kept for this module


def fields_of(made: Event | Identity, fields: Fields) -> dict[str, Any]:
    """Its documented fields, in the page's order."""
    return {name: getattr(made, name) for name in fields}


def _check(made: Event | Identity, where: str, fields: Fields, problems: Problems) -> dict[str, Any]:
    checked = check_fields(fields_of(made, fields), where, fields, problems)
    for name, value in checked.items():
        if value is not getattr(made, name):  # a plain str in place of a StrEnum, plain JSON in place of a Decimal
            object.__setattr__(made, name, value)
    return checked


def _check_occurred_at(moment: Any, problems: Problems) -> None:
    if not isinstance(moment, datetime):
        problems.add("occurred_at", f"is {described(moment)}, not a datetime", "pass an aware datetime")
    elif not is_aware(moment):
        problems.add("occurred_at", "is a datetime without a timezone", "attach one, as datetime.now(UTC) does")
