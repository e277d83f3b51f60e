"""The settings: whether they mean something, go together, and name destinations to which something can be sent."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from outbox.destinations import DestinationSettings, authority, checked, make
from outbox.destinations.request import is_plain
from outbox.doctor.finding import Finding, ok, problem, raised, warning
from outbox.errors import ConfigurationError
from outbox.policy import Policy
from outbox.service import check_settings
from outbox.settings import Settings, unknown_variables
from outbox.settings.values import show_duration


def variables() -> Iterator[Finding]:
    """Variables that begin with OUTBOX_ and mean nothing."""
    for sentence in unknown_variables():
        yield warning("settings", sentence, "Correct or unset it; `outbox config show` lists what there is")


def timing(settings: Settings) -> Iterator[Finding]:
    """Whether a lease covers a try, whether pauses grow, and whether a policy of one's own can be loaded."""
    try:
        check_settings(settings)
        Policy.of(settings)
    except ConfigurationError as error:
        yield raised("settings", error)
        return
    slowest = max(each.try_timeout for each in settings.destinations.values())
    lease = show_duration(settings.lease)
    yield ok("settings", f"a lease of {lease} covers tries of up to {show_duration(slowest)}")
    if settings.delivery != "on":
        text = f"OUTBOX_DELIVERY is {settings.delivery}: a worker with these settings sends nothing"
        yield warning("settings", text, "Unset it where events are to be delivered")


def destinations(settings: Settings) -> Iterator[Finding]:
    """Whether something can be sent to each destination, as far as the settings tell."""
    for each in settings.destinations.values():
        yield _destination(each)


def _destination(settings: DestinationSettings) -> Finding:
    check = f"destination {settings.name}"
    try:
        made = make(settings)
        url = checked(made.url, settings.variable("url"))
        where = authority(urlsplit(url))
        if is_plain(url) and settings.kind == "overcentric":
            text = f"events go to {where} in plain text: who is on the way can read them"
            return warning(check, text, f"Write https:// in {settings.variable('url')}")
        made.check()
    except ConfigurationError as error:
        return raised(check, error)
    except Exception as error:  # noqa: BLE001 - a plugin's own
        text = f"a destination of the kind {settings.kind} raised {type(error).__name__}"
        return problem(check, text, "Repair the package that it comes with")
    return ok(check, f"{settings.kind} at {where}")
