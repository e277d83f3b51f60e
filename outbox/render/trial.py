"""A test event: what was sent, what was answered, how long that took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from outbox._version import __version__
from outbox.destinations import Destination, DestinationSettings, authority
from outbox.message import Claim, Message
from outbox.render.jsons import to_json
from outbox.render.messages import parsed_body
from outbox.render.screen import line, out
from outbox.settings.values import hidden_in_url
from outbox.store.look import Shown

_SIGNS = ("signature", "authorization", "token", "secret", "api-key")
"""A header of a destination's own kind whose name holds one of these is a secret."""


class Trial(NamedTuple):
    """The fields of `outbox send-test --json`."""

    id: str
    destination: str
    outcome: str
    """`delivered`, `failed`, `rescheduled`, or `pending` where no attempt has ended."""
    status: int | None
    error: str | None
    response: str | None
    """How the answer began, where it did not deliver."""
    seconds: float | None
    """From the commit to the record of the answer, by the database's clock."""
    url: str
    headers: Mapping[str, str]
    """Without secrets."""
    body: str

    @classmethod
    def of(cls, shown: Shown, destination: Destination, settings: DestinationSettings) -> Self:
        """Put together what the table knows, and the request that these settings make of it."""
        summary, details, log = shown
        last = log[-1] if log else None
        request = destination.request(_message(shown))
        outcome = "rescheduled" if summary.state == "pending" and last else summary.state
        settled = summary.settled_at
        return cls(
            id=str(summary.id),
            destination=summary.destination,
            outcome=outcome,
            status=last.status if last else summary.last_status,
            error=last.error if last else summary.last_error,
            response=last.response if last else None,
            seconds=None if settled is None else round((settled - summary.created_at).total_seconds(), 3),
            url=hidden_in_url(request.url),
            headers=_headers(request.headers, settings),
            body=details.body,
        )


def trial_json(trial: Trial) -> None:
    """Print it as an object, its body as the JSON that it is."""
    out(to_json(trial._asdict() | {"body": parsed_body(trial.body)}, indent=2) + "\n")


def show_trial(trial: Trial) -> None:
    """Print the request, then the answer."""
    parts = urlsplit(trial.url)
    line(f"POST {parts.path or '/'}{'?***' if parts.query else ''} HTTP/1.1")
    line(f"Host: {authority(parts)}")
    for name, value in trial.headers.items():
        line(f"{name}: {value}")
    line()
    line(trial.body)
    line()
    for sentence in _answer(trial):
        line(sentence)


def _answer(trial: Trial) -> list[str]:
    if trial.outcome == "pending":
        return []
    if trial.outcome == "delivered":
        answer = "taken (OUTBOX_DELIVERY=log: logged, not sent)" if trial.status is None else f"HTTP {trial.status}"
        return [f"{trial.destination} took it: {answer}, {trial.seconds:g} s after the commit"]
    said = [f"{trial.destination} did not take it: {trial.error}"]
    if trial.response:
        said.append(f"The answer begins: {trial.response}")
    then = "It will be sent again" if trial.outcome == "rescheduled" else "It is failed"
    return [*said, f"{then}: outbox show {trial.id}"]


def _message(shown: Shown) -> Message:
    summary, details, _ = shown
    no_claim = Claim(summary.id, 0.0)
    return Message(
        str(summary.id), summary.name, details.body, summary.attempts, details.on_unknown,
        details.ordering_key is not None, summary.destination, no_claim,
    )  # fmt: skip


def _headers(headers: Mapping[str, str], settings: DestinationSettings) -> dict[str, str]:
    """With the client's own; the values of configured ones, and of signatures, are hidden."""
    configured = {name.lower() for name in settings.headers}
    shown = {
        name: "***" if name.lower() in configured or any(sign in name.lower() for sign in _SIGNS) else value
        for name, value in headers.items()
    }
    return shown | {"User-Agent": f"overcentric-outbox/{__version__}"}
