"""The request that carries a message as a curl command. No secret is in it: where one belongs stands a variable."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from outbox.destinations import USER_AGENT, DestinationSettings, Request, checked, make
from outbox.errors import WrongState
from outbox.message import Claim, Message
from outbox.render.messages import is_wiped
from outbox.store.look import Shown

# Two that a webhook takes for secrets: what they differ in would hold the true one, or has been made with it.
_STAND_INS = tuple(f"whsec_{letter * 32}" for letter in "AB")
_NOBODY = Claim(UUID(int=0), 0.0)

_LONGEST_ARGUMENT = 100_000
"""Bytes. Linux takes no argument of 128 KiB."""


class Curl(NamedTuple):
    """A command, and what a person must know to run it."""

    command: str
    notes: list[str]


def curl(found: Shown, settings: DestinationSettings) -> Curl:
    """Make the command that repeats the request.

    Raises `ConfigurationError` for a destination to which nothing can be sent, and `WrongState` for a body that was
    wiped, or that no shell can hand over.
    """
    if is_wiped(found.details.body):
        msg = f"The message {found.summary.id} has no body any more"
        raise WrongState(msg, hint=f"`outbox show {found.summary.id}` says what is left of it.")
    if "\0" in found.details.body:
        msg = f"The body of {found.summary.id} holds a NUL, which no command line can"
        raise WrongState(msg, hint="`outbox show ID --json` has the body.")
    writer = _Writer(settings)
    return Curl(writer.command(found), writer.notes)


class _Writer:
    def __init__(self, settings: DestinationSettings) -> None:
        self._settings = settings
        self.notes: list[str] = []

    def command(self, found: Shown) -> str:
        """The lines of the command."""
        request, other = (self._request(found, secret) for secret in _STAND_INS)
        options = [*self._headers(request, other), *self._way()]
        words = ["curl --http1.1 --request POST", self._url(request.url), *options]
        body = _quoted(request.body)
        if len(request.body.encode()) > _LONGEST_ARGUMENT:
            return f"printf %s {body} |\n  {_continued([*words, '--data-binary @-'])}"
        return _continued([*words, f"--data-raw {body}"])

    def _request(self, found: Shown, secret: str) -> Request:
        """The request as a worker makes it, but for what it knows: the values of headers are hidden, too."""
        hidden = {name: self._stand_in(name) for name in self._settings.headers}
        destination = make(replace(self._settings, secret=secret, headers=hidden))
        checked(destination.url, self._settings.variable("url"))
        return destination.request(_message(found))

    def _stand_in(self, header: str) -> str:
        return f"outbox-header-{header}"

    def _headers(self, request: Request, other: Request) -> Iterator[str]:
        for name, value in ({"User-Agent": USER_AGENT} | request.headers).items():
            if _STAND_INS[0] not in value and other.headers.get(name, value) != value:
                secret = self._settings.variable("secret")
                self.notes.append(f"{name} is missing: it is made with the secret ({secret}) and the time of sending")
            else:
                yield f"--header {self._with_variables(f'{name}: {value}', name)}"

    def _with_variables(self, text: str, header: str) -> str:
        """Quote it, with variables in place of what stands in for a secret."""
        variables = {_STAND_INS[0]: self._settings.variable("secret")}
        if header in self._settings.headers:
            variables[self._stand_in(header)] = self._variable(f"header_{header}")
        parts = re.split(f"({'|'.join(map(re.escape, variables))})", text)
        return "".join(self._named(variables[part]) if part in variables else _quoted(part) for part in parts if part)

    def _variable(self, setting: str) -> str:
        return re.sub(r"\W", "_", self._settings.variable(setting)).upper()

    def _named(self, variable: str) -> str:
        self.notes.append(f"set {variable}: its value is not shown")
        return f'"${variable}"'

    def _url(self, url: str) -> str:
        """A query may be a secret; a user name is refused."""
        place, mark, query = url.partition("?")
        if not query:
            return self._with_variables(url, "")
        return f"{self._with_variables(place + mark, '')}{self._named(self._variable('query'))}"

    def _way(self) -> Iterator[str]:
        """The way that a worker takes, whatever the environment says."""
        if self._settings.proxy is None:
            yield "--noproxy '*'"
        else:
            yield f"--proxy {self._named(self._variable('proxy'))}"
        if self._settings.ca_file is not None:
            yield f"--cacert {_quoted(self._settings.ca_file)}"


def _message(found: Shown) -> Message:
    summary, details = found.summary, found.details
    return Message(
        id=str(summary.id),
        name=summary.name,
        body=details.body,
        attempts=summary.attempts,
        on_unknown=details.on_unknown,
        keyed=details.ordering_key is not None,
        destination=summary.destination,
        claim=_NOBODY,
    )


def _continued(words: list[str]) -> str:
    return " \\\n  ".join(words)


def _quoted(text: str) -> str:
    """One word of a shell's, in printable ASCII: `$'…'`, where needed, is bash's, zsh's and ksh's."""
    if text.isascii() and text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_escaped, text.encode()))}'"


def _escaped(byte: int) -> str:
    plain = chr(byte)
    return plain if 0x20 <= byte < 0x7F and plain not in "\\'" else f"\\{byte:03o}"
