"""Why a try failed, in one sentence, and whether the request had left."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from outbox.destinations import authority
from outbox.message import Certainty
from outbox.settings.values import show_duration

CONNECT = "client error (Connect)"
"""The cause that hyper names when DNS, TCP or TLS failed, and then only: the request had not left.

The Python class does not tell: a connection that closed instead of answering is a `ConnectError` too.
"""

_TUNNEL = "tunnel error: "
_NO_PROXY = f"{_TUNNEL}failed to create underlying connection"
_BODY = "request or response body error"
_TIMED_OUT = {"operation timed out", "deadline has elapsed"}
_SYSTEM = re.compile(r"(.+) \(os error \d+\)")
_CERTIFICATE = "invalid peer certificate: "
_CERTIFICATES = {
    "UnknownIssuer": "the certificate of {host} is of an unknown authority",
    "certificate expired": "the certificate of {host} has expired",
    "certificate not valid yet": "the certificate of {host} is not valid yet",
    "certificate not valid for name": "the certificate is not one of {host}",
}


@dataclass(frozen=True, slots=True)
class TryFailed:
    """A try without a whole answer."""

    certainty: Certainty
    error: str


def explain(
    causes: Sequence[str], url: str, *, connect_timeout: float, try_timeout: float, proxy: str | None = None
) -> TryFailed:
    """Read the library's chain of causes, outermost first. When in doubt the request may have been processed."""
    if CONNECT in causes:
        limit = show_duration(connect_timeout)
        error = _not_sent(causes, url, limit) if proxy is None else _not_sent_through(proxy, causes, url, limit)
        return TryFailed(Certainty.NOT_SENT, error)
    return TryFailed(Certainty.UNKNOWN, _unknown(causes, show_duration(try_timeout)))


def _not_sent(causes: Sequence[str], url: str, limit: str, who: str = "") -> str:
    """Why there is no connection to the URL's host. `who` are words to call it by, with a space behind."""
    parts = urlsplit(url)
    where, host, last = who + authority(parts), f"{who}{parts.hostname}", causes[-1]
    if last in _TIMED_OUT:
        return f"no connection to {where} within {limit}"
    if "dns error" in causes:
        return f"cannot resolve {host}: {last.rpartition(': ')[2]}"
    if last.startswith(_CERTIFICATE):
        return f"TLS: {_certificate(last.removeprefix(_CERTIFICATE), host)}"
    if last == "tls handshake eof":
        return f"TLS: {where} closed the connection during the handshake"
    reason = _system(last)
    if reason == "connection refused":
        return f"connection refused by {where}"
    return f"cannot connect to {where}" + ("" if last == CONNECT else f": {reason or last}")


def _not_sent_through(proxy: str, causes: Sequence[str], url: str, limit: str) -> str:
    """The same with a proxy in between: it may be the one that could not be reached, or that refused."""
    where, gate, last = authority(urlsplit(url)), f"the proxy {authority(urlsplit(proxy))}", causes[-1]
    if last in _TIMED_OUT:
        return f"no connection to {where} through {gate} within {limit}"
    if last == f"{_TUNNEL}proxy authorization required":
        return f"{gate} asks for a user name and a password, or for others (407)"
    if last.startswith(_TUNNEL) and last != _NO_PROXY:
        return f"{gate} did not connect to {where}: {last.removeprefix(_TUNNEL)}"
    if _NO_PROXY in causes or urlsplit(url).scheme == "http":
        return _not_sent(causes, proxy, limit, "the proxy ")
    return _not_sent(causes, url, limit)


def _certificate(problem: str, host: str) -> str:
    words = next((words for known, words in _CERTIFICATES.items() if problem.startswith(known)), problem)
    return words.replace("{host}", host)


def _unknown(causes: Sequence[str], limit: str) -> str:
    # The outermost cause of a send error repeats the URL, query and all.
    known = [cause for cause in causes if not cause.startswith("error sending request")]
    last, in_body = known[-1] if known else "the HTTP client failed", _BODY in known
    if last in _TIMED_OUT:
        return f"no whole answer within {limit}" if in_body else f"no answer within {limit}"
    if last == "connection closed before message completed":
        return "connection closed before the answer"
    if last == "end of file before message length reached":
        return "connection closed in the answer"
    if reason := _system(last):
        return f"{reason} in the answer" if in_body else f"{reason} before the answer"
    return f"not an answer of HTTP's: {last}"


def _system(cause: str) -> str | None:
    """The operating system's words, as part of a sentence."""
    found = _SYSTEM.fullmatch(cause)
    return found[1][0].lower() + found[1][1:] if found else None
