"""The settings of one destination: what `OUTBOX_DESTINATION_CRM_…` and `[destinations.crm]` can say, and all it comes to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from outbox.settings import values
from outbox.settings.reading import Reading

OVERCENTRIC: Final = "overcentric"
"""The destination that is always there. Its settings are the outbox's own: `OUTBOX_ENDPOINT`, `OUTBOX_RATE`, …"""

DEFAULT_ENDPOINT: Final = "https://app.overcentric.com/api/v1/event"
"""From the Event API's documentation page."""

DEFAULT_MAX_BODY: Final = 256 * 1024

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""What a destination may be called: the rest of a variable's name in lower case."""


class EventSettings(NamedTuple):
    """What becomes of an event on its way to the Event API's request body."""

    project_id: str | None = None
    max_body: int = DEFAULT_MAX_BODY
    occurred_at_property: str | None = None
    allow_names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DestinationSettings:
    """All that one destination is told, with the outbox's own settings where it is told nothing.

    In the application's own process `enqueue` reads no more than `name`, `kind`, `on_unknown` and `events`: the rest has
    its defaults there, `url` is empty and `secret` is None.
    """

    name: str
    kind: str
    url: str = ""
    secret: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    concurrency: int = 64
    """POSTs in flight at once, per worker process."""
    rate: float | None = None
    """Messages a second, for all workers together; None: no limit."""
    try_timeout: float = 10.0
    """Seconds."""
    on_unknown: str | None = None
    """`retry` or `park` for all of its messages; None: their names decide (`OUTBOX_PARK`)."""
    proxy: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    events: EventSettings = field(default_factory=EventSettings)

    def variable(self, setting: str) -> str:
        """The variable that sets it: what an error names."""
        if self.name == OVERCENTRIC:
            return "OUTBOX_ENDPOINT" if setting == "url" else f"OUTBOX_{setting.upper()}"
        return own_variable(self.name, setting)


def own_variable(name: str, setting: str) -> str:
    """The environment variable of one destination's setting."""
    return f"OUTBOX_DESTINATION_{name}_{setting}".upper()


SHARED: Final = ("concurrency", "rate", "try_timeout", "proxy", "ca_file")
"""Settings of the outbox that hold for a destination which has none of its own."""

OWN: Final[dict[str, Reading]] = {
    "url": Reading("Where its messages are POSTed.", show=values.hidden_in_url, example="https://crm.example/hooks"),
    "kind": Reading(
        "What it speaks: `webhook`, `overcentric`, or the name of a plugin's entry point. Default `webhook`.",
        example="webhook",
    ),
    "secret": Reading(
        "What its requests are signed with: `whsec_` and base64. Several, separated by spaces, all sign: for rotation.",
        show=values.hidden,
        example="whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        secret=True,
    ),
    "headers": Reading(
        "Headers of every request; in TOML also a table.",
        parse=values.headers,
        show=values.hidden_headers,
        example="X-Tenant: 42; Authorization: Bearer abc",
        secret=True,
    ),
    "concurrency": Reading("As `OUTBOX_CONCURRENCY`, for it alone.", parse=values.positive, example="8"),
    "rate": Reading("As `OUTBOX_RATE`, for it alone.", parse=values.rate, show=values.show_rate, example="10/s"),
    "try_timeout": Reading(
        "As `OUTBOX_TRY_TIMEOUT`, for it alone.",
        parse=values.positive_duration,
        show=values.show_duration,
        example="3s",
    ),
    "on_unknown": Reading(
        "`retry` or `park`: what `enqueue` does where it is told neither.",
        parse=values.one_of("retry", "park"),
        example="park",
    ),
    "proxy": Reading(
        "As `OUTBOX_PROXY`, for it alone; `none` for a direct way.",
        parse=values.proxy,
        show=values.hidden_in_url,
        example="none",
        secret=True,
    ),
    "ca_file": Reading("As `OUTBOX_CA_FILE`, for it alone.", example="/etc/ssl/crm-ca.pem"),
}
"""What one destination can be told, in the order of the documentation."""
